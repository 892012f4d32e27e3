"""Waiting for a disk without keeping the event loop: threads for it, and how a body gets there."""

import asyncio
import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import structlog
from starlette.types import Receive

from tillstream.errors import FileRefused
from tillstream.http.problems import Problem, unavailable

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_SPACE_RETRY_S = 30

_log = structlog.get_logger()


class Writable(Protocol):
    """What a body is written to; blocks, raises OSError."""

    def write(self, data: bytes) -> None: ...


class DiskThreads:
    """A few threads of their own for one kind of request."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = threads
        self._name = name
        self._pool: ThreadPoolExecutor | None = None

    def open(self) -> None:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)

    def close(self) -> None:
        """May be repeated. A thread that waits for a dead disk is left to it."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    async def run[Answer](
        self, step: Callable[[], Answer], undo: Callable[[Answer], object] | None = None
    ) -> Answer:
        """Runs to its end even where the request is given up, since a file must not be closed while it is written to.

        `undo` is then called with what nobody takes any more.
        """
        assert self._pool is not None, "not open"
        running = asyncio.wrap_future(self._pool.submit(step))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait({running})
            if running.exception() is None and undo is not None:
                undo(running.result())
            raise

    async def fill(self, file: Writable, receive: Receive, piece_bytes: int) -> None:
        """Writes a request's body, with about a piece of it in memory. Raises OSError, and Problem as `receive` does."""
        piece = bytearray()
        more = True
        while more:
            message = await receive()
            piece += message.get("body", b"")
            more = message.get("more_body", False)
            if len(piece) >= piece_bytes or not more:
                await self.run(partial(file.write, bytes(piece)))
                piece.clear()


@contextmanager
def disk_told() -> Iterator[None]:
    """Raises Problem instead of OSError and FileRefused."""
    try:
        yield
    except FileRefused as error:
        raise Problem(409, f"The file of this Idempotency-Key cannot be compared: {error}.") from None
    except OSError as error:
        _log.error("ALARM: a file that is being sent cannot be stored.", problem=str(error))
        if error.errno in NO_SPACE:
            raise Problem(
                507, "There is no space for this file now.", headers={"Retry-After": str(NO_SPACE_RETRY_S)}
            ) from None
        raise unavailable("The folder for files is not there or cannot be written to now.") from None
