"""Failures of the disk, told apart from failures of a file; and how a loop waits for what is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import structlog

from tillstream.errors import Retryable
from tillstream.kafka.waiting import Backoff
from tillstream.observe.health import Voice

_log = structlog.get_logger()


class DiskUnavailable(Retryable):
    """A folder cannot be read or written now: full, read-only, or gone. Nothing was decided about any file."""

    dependency: ClassVar[str] = "folders"


@contextmanager
def disk_translated() -> Iterator[None]:
    """Raises DiskUnavailable instead of OSError."""
    try:
        yield
    except OSError as error:
        raise DiskUnavailable(f"The disk fails: {error}") from error


class Outages:
    """What one loop waits for, PostgreSQL or the disk. `sentence` is its log line where that is new."""

    def __init__(self, sentence: str, postgres: Voice, disk: Voice, backoff: Backoff) -> None:
        self._sentence = sentence
        self._postgres = postgres
        self._disk = disk
        self._backoff = backoff
        self._failures = 0

    def __repr__(self) -> str:
        return f"<Outages of {self._postgres} and {self._disk}>"

    def failed(self, error: Retryable) -> float:
        """Say it, and how many seconds to wait."""
        self._failures += 1
        dependency = self._disk if isinstance(error, DiskUnavailable) else self._postgres
        if dependency.problem is None:
            _log.warning(self._sentence, dependency=dependency.name, problem=str(error))
        dependency.waiting(str(error))
        return self._backoff.wait_s(self._failures)

    def postgres_answers(self) -> None:
        self._postgres.reached()

    def disk_answers(self) -> None:
        self._disk.reached()

    def succeeded(self) -> None:
        """The next failure is the first one again."""
        self._failures = 0
