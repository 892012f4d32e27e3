"""Rows of a CSV file: records taken apart into cells, in chunks that bound memory and time."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from tillstream.contracts.messages import Refusal
from tillstream.contracts.reasons import Reason
from tillstream.csv.encoding import Encoding
from tillstream.csv.plain_lines import PlainCells, PlainLines
from tillstream.csv.records import MAX_RECORD_BYTES, Fault, Record, RecordSplitter

NUL = "\x00"
LONG_WAY_ROWS = 5_000  # of a chunk: each is a message of its own, of some kilobytes


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the physical line on which it begins. Exactly one of `cells` and `refusal` is set.

    `raw` is what stood in the file, without the line end; of a row that is too long, its first MAX_RECORD_BYTES.
    """

    line: int
    raw: bytes
    cells: Sequence[str] | None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that follow each other, and where the next one begins. At the end of the file there may be no row.

    `plain` are those that stand in plain form, between the others; see `RowReader`.
    """

    rows: Sequence[Row]
    next_byte: int
    next_line: int
    is_last: bool
    plain: PlainCells = field(default_factory=PlainCells)

    def __len__(self) -> int:
        return len(self.rows) + len(self.plain)


class RowReader:
    """Reads rows from any place where one begins: (next_byte, next_line) of a chunk is all that a resumption needs.

    Empty lines are no rows. Every row has as many cells as the header; another number is a refusal of that row.
    With a `plain` pattern (`contracts.plain_rows.plain_line`), rows in that form are not taken apart one by one.
    """

    def __init__(
        self,
        file: BinaryIO,
        separator: str,
        width: int,
        next_byte: int,
        next_line: int,
        encoding: Encoding = Encoding.UTF_8,
        plain: re.Pattern[str] | None = None,
    ) -> None:
        self._plain = PlainLines(plain) if plain is not None else None
        self._records = RecordSplitter(file, separator, next_byte, next_line, encoding)
        self._separator = separator
        self._width = width
        self._encoding = encoding

    def read_chunk(self, max_rows: int, max_bytes: int) -> Chunk:
        """At most `max_rows` rows, LONG_WAY_ROWS of them not in plain form, and no further one once `max_bytes` of the file are
        read. Blocks on the disk.

        Raises FileRefused where the file is no text with lines at all.
        """
        first_byte = self._records.next_byte
        rows: list[Row] = []
        plain = PlainCells()
        is_last = False
        while (room := max_rows - len(rows) - len(plain)) > 0 and len(rows) < LONG_WAY_ROWS and not is_last:
            if self._records.next_byte - first_byte >= max_bytes:
                break
            records = None
            if self._plain is not None:
                records = self._plain.take(self._records, room, LONG_WAY_ROWS - len(rows), plain)
            if records is None:
                record = self._records.next_record()
                is_last = record is None
                records = [record] if record is not None else []
            rows += [self.row(record) for record in records if record.raw]
        return Chunk(rows, self._records.next_byte, self._records.next_line, is_last, plain)

    def row(self, record: Record) -> Row:
        """A record taken apart."""
        cells = read_cells(record, self._separator, self._encoding)
        if isinstance(cells, Refusal):
            return Row(record.line, record.raw, None, cells)
        if len(cells) != self._width:
            refusal = Refusal(
                Reason.RAGGED_ROW, f"The row has {len(cells)} cells; the header has {self._width}."
            )
            return Row(record.line, record.raw, None, refusal)
        return Row(record.line, record.raw, cells)


def read_cells(record: Record, separator: str, encoding: Encoding = Encoding.UTF_8) -> list[str] | Refusal:
    """The cells of a record, or why it cannot be read."""
    if record.fault is not None:
        return _refusal_of(record.fault)
    try:
        text = record.raw.decode(encoding.value)
    except UnicodeDecodeError as error:
        return _misfit(record.raw, error.start, encoding)
    if NUL in text:
        return Refusal(Reason.INVALID_TEXT, "The row contains the character U+0000.")
    return split_cells(text, separator)


def split_cells(text: str, separator: str) -> list[str]:
    """The cells of one record. A quote inside a cell that does not begin with one stands for itself.

    Raises csv.Error where quotes are broken, which never happens to a record without a fault.
    """
    if '"' not in text:
        return text.split(separator)
    return next(csv.reader((text,), delimiter=separator, strict=True), [""])


def _misfit(raw: bytes, at: int, encoding: Encoding) -> Refusal:
    advice = " Save the file as UTF-8, or declare its encoding." if encoding is Encoding.UTF_8 else ""
    return Refusal(
        Reason.INVALID_TEXT,
        f"The row is not {encoding.label}: byte {at + 1} of it is 0x{raw[at]:02x}.{advice}",
    )


def _refusal_of(fault: Fault) -> Refusal:
    match fault:
        case Fault.TOO_LONG:
            return Refusal(Reason.RECORD_TOO_LARGE, f"The row is longer than {MAX_RECORD_BYTES} bytes.")
        case Fault.BROKEN_QUOTES:
            return Refusal(
                Reason.RAGGED_ROW,
                f"A quoted cell is not closed within {MAX_RECORD_BYTES} bytes, or text follows its closing quote.",
            )
