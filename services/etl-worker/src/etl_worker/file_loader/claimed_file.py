"""A claimed file, open for as long as its job runs, and watched for change all the while."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from etl_worker.file_loader.failures import disk_translated
from tillstream.csv.survey import LineCount, Survey
from tillstream.errors import FileRefused
from tillstream.folders import open_regular

BLOCK_BYTES = 4_194_304


class ClaimedFile:
    """Wraps the open file; a context manager that closes it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._first_look = _look(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises FileRefused for a file that is missing or no regular one, DiskUnavailable for the rest."""
        with disk_translated():
            try:
                return cls(open_regular(path))
            except FileNotFoundError as error:
                if not path.parent.is_dir():
                    raise  # the folder is away, which says nothing about the file
                raise FileRefused("file_missing: the claimed file is not in work/ any more") from error

    @property
    def size(self) -> int:
        """Bytes at the first look."""
        return self._first_look[1]

    def check_unchanged(self) -> None:
        """Raises FileRefused once anybody has written to the file, renamed it or linked it since the first look."""
        if _look(self.file) != self._first_look:
            raise FileRefused("file_changed: the file was changed while it was being loaded")

    async def survey(self, pulse: Callable[[], None]) -> tuple[str, Survey]:
        """The hash of the whole file, in hexadecimal, and what else there is to know of it. `pulse` is called again and again."""
        digest = hashlib.sha256()
        survey = Survey()

        def take(block: bytes) -> None:
            digest.update(block)
            survey.take(block)

        await self._read_through(take, pulse)
        return digest.hexdigest(), survey

    async def count_lines(self, pulse: Callable[[], None]) -> int:
        """Lines as an editor counts them: ended by LF, CRLF or CR; text after the last end is one more."""
        lines = LineCount()
        await self._read_through(lines.take, pulse)
        return lines.total

    async def _read_through(self, take: Callable[[bytes], None], pulse: Callable[[], None]) -> None:
        """Hands the whole file to `take`, block by block and on another thread: gigabytes from a slow disk must not keep
        the consumer from its heartbeats. Cancelled, it leaves one block to the thread, and closing the file waits for that."""
        with disk_translated():
            self.file.seek(0)
            while await asyncio.to_thread(self._hand_over_block, take):
                pulse()
        self.check_unchanged()

    def _hand_over_block(self, take: Callable[[bytes], None]) -> bool:
        block = self.file.read(BLOCK_BYTES)
        take(block)
        return bool(block)


def _look(file: BinaryIO) -> tuple[int, ...]:
    """Unlike the time of the last write, that of the last change (ctime) cannot be set back by whoever writes."""
    with disk_translated():
        facts = os.fstat(file.fileno())
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
