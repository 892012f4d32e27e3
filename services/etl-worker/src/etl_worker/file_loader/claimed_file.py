"""A claimed file, open for as long as its job runs, and watched for change all the while."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from etl_worker.file_loader.failures import disk_translated
from tillstream.csv.packed import DEFAULT_BOUNDS, Bounds, open_text
from tillstream.csv.survey import LineCount, Survey
from tillstream.errors import FileRefused
from tillstream.folders import open_regular

BLOCK_BYTES = 4_194_304


class ClaimedFile:
    """Wraps the open file; a context manager that closes it."""

    def __init__(self, file: BinaryIO, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self.file = file
        self._bounds = bounds
        self._text: BinaryIO | None = None
        self._first_look = _look(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    @property
    def text(self) -> BinaryIO:
        """What is read: the file itself, or what it holds where it is packed. Raises FileRefused for an archive."""
        if self._text is None:
            with disk_translated():
                self._text = open_text(self.file, self._bounds)
        return self._text

    @property
    def is_packed(self) -> bool:
        return self.text is not self.file

    @classmethod
    def open(cls, path: Path, bounds: Bounds = DEFAULT_BOUNDS) -> Self:
        """Raises FileRefused for a file that is missing, that may not be read, or is no regular one; DiskUnavailable for the rest."""
        with disk_translated():
            try:
                return cls(open_regular(path), bounds)
            except FileNotFoundError as error:
                if not path.parent.is_dir():
                    raise  # the folder is away, which says nothing about the file
                raise FileRefused("file_missing: the claimed file is not in work/ any more") from error
            except PermissionError as error:
                if not os.access(path.parent, os.R_OK | os.X_OK):
                    raise  # waiting for this one file would keep all others from being loaded
                raise FileRefused("not_readable: file-loader is not allowed to read the file") from error

    @property
    def size(self) -> int:
        """Bytes at the first look."""
        return self._first_look[1]

    def check_unchanged(self) -> None:
        """Raises FileRefused once anybody has written to the file, renamed it or linked it since the first look."""
        if _look(self.file) != self._first_look:
            raise FileRefused("file_changed: the file was changed while it was being loaded")

    async def survey(self, pulse: Callable[[], None], *, as_it_is: bool) -> tuple[str, Survey]:
        """The hash of the whole file, in hexadecimal, and what there is to know of its text, unless it is kept `as_it_is`.
        `pulse` is called again and again."""
        digest = hashlib.sha256()
        survey = Survey()

        def take(block: bytes) -> None:
            digest.update(block)
            if self._text is self.file:
                survey.take(block)

        try:
            is_packed = not as_it_is and self.is_packed
        except FileRefused as error:
            is_packed = False
            survey.refuse(error)
        await self._read_through(self.file, take, pulse)
        if is_packed:
            await self._survey_packed(survey, pulse)
        return digest.hexdigest(), survey

    async def _survey_packed(self, survey: Survey, pulse: Callable[[], None]) -> None:
        """None of it is loaded where not all of it can be read."""
        self._text = (
            None  # opened anew: the one that was begun goes on where the hash left the file, at its end
        )
        try:
            await self._read_through(self.text, survey.take, pulse)
        except FileRefused as error:
            self.check_unchanged()
            survey.refuse(error)

    async def count_lines(self, pulse: Callable[[], None]) -> int:
        """Lines as an editor counts them: ended by LF, CRLF or CR; text after the last end is one more."""
        lines = LineCount()
        await self._read_through(self._text or self.file, lines.take, pulse)
        return lines.total

    async def wind(self, to_byte: int, pulse: Callable[[], None]) -> None:
        """Go to a place in the text: where it is packed, by reading all that lies before."""
        text = self.text
        with disk_translated():
            text.seek(0 if self.is_packed else to_byte)
        while left := to_byte - text.tell():
            with disk_translated():
                read = await asyncio.to_thread(text.read, min(left, BLOCK_BYTES))
            if not read:
                raise FileRefused("file_changed: the file is shorter than what was loaded of it")
            pulse()

    async def _read_through(
        self, source: BinaryIO, take: Callable[[bytes], None], pulse: Callable[[], None]
    ) -> None:
        """Hands the whole file to `take`, block by block and on another thread: gigabytes from a slow disk must not keep
        the consumer from its heartbeats. Cancelled, it leaves one block to the thread, and closing the file waits for that."""
        with disk_translated():
            source.seek(0)
            while await asyncio.to_thread(_hand_over_block, source, take):
                pulse()
        self.check_unchanged()


def _hand_over_block(source: BinaryIO, take: Callable[[bytes], None]) -> bool:
    block = source.read(BLOCK_BYTES)
    take(block)
    return bool(block)


def _look(file: BinaryIO) -> tuple[int, ...]:
    """Unlike the time of the last write, that of the last change (ctime) cannot be set back by whoever writes."""
    with disk_translated():
        facts = os.fstat(file.fileno())
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
