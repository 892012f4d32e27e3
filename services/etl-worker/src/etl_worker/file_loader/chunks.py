"""The chunks of one file, each read and made ready on another thread while the one before it is written."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from operator import attrgetter
from typing import BinaryIO
from zoneinfo import ZoneInfo

from etl_worker.file_loader.failures import disk_translated
from tillstream.apply.file_rows import binary_rows
from tillstream.contracts.csv_rows import JobFacts
from tillstream.contracts.plain_rows import PlainRowReader, PlainRows, plain_line
from tillstream.csv.header import Header
from tillstream.csv.plain_lines import record_of
from tillstream.csv.rows import Chunk, Row, RowReader


@dataclass(frozen=True, slots=True)
class ChunkBounds:
    """Of one chunk: rows, and bytes of the file after which it takes no further row."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A chunk: `plain` rows, `pieces` of the COPY that brings them, and all others, which are to become messages."""

    chunk: Chunk
    plain: PlainRows
    pieces: list[bytes]
    others: list[Row]


class ChunkReader:
    """Reads a file from `start` (byte, line), where a row begins. Files of rejects have no plain rows: their header is another."""

    def __init__(
        self, file: BinaryIO, header: Header, job: JobFacts, shop_timezone: ZoneInfo, start: tuple[int, int]
    ) -> None:
        pattern = plain_line(header.entity, header.columns, header.separator)
        next_byte, next_line = start
        self._reader = RowReader(
            file, header.separator, len(header.columns), next_byte, next_line, header.encoding, pattern
        )
        self._plain = PlainRowReader(header.entity, header.columns, job, shop_timezone)
        self._job = job

    def read(self, bounds: ChunkBounds) -> Ready:
        """The next one. Blocks; raises FileRefused and DiskUnavailable."""
        with disk_translated():
            chunk = self._reader.read_chunk(bounds.rows, bounds.bytes)
        plain = self._plain.read(chunk.plain.lines, chunk.plain.cells)
        pieces = binary_rows(plain, self._job) if len(plain) else []
        others = self.plain_rows(chunk, set(chunk.plain.lines) - set(plain.lines))
        return Ready(chunk, plain, pieces, sorted([*chunk.rows, *others], key=attrgetter("line")))

    def plain_rows(self, chunk: Chunk, lines: AbstractSet[int]) -> list[Row]:
        """Those of a chunk's plain lines, taken apart as all others are."""
        if not lines:
            return []
        plain = zip(chunk.plain.lines, chunk.plain.texts, strict=True)
        return [self._reader.row(record_of(line, text)) for line, text in plain if line in lines]


async def read_ahead(reader: ChunkReader, bounds: Callable[[], ChunkBounds]) -> AsyncGenerator[Ready]:
    """The chunks up to the last one; while one is used, the next is read. To be closed: `aclosing`.

    Raises FileRefused and DiskUnavailable. Closed early, it leaves one chunk to the thread, which then finds its file closed.
    """
    task = _begun(reader, bounds())
    try:
        while not (ready := await task).chunk.is_last:
            task = _begun(reader, bounds())
            yield ready
        yield ready
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _begun(reader: ChunkReader, bounds: ChunkBounds) -> asyncio.Task[Ready]:
    return asyncio.create_task(asyncio.to_thread(reader.read, bounds), name="read a chunk")
