"""Failures of the disk, told apart from failures of a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from tillstream.errors import Retryable


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
