"""Rows of a CSV file: records taken apart into cells, in chunks that bound memory and time."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from tillstream.contracts.messages import Refusal
from tillstream.contracts.reasons import Reason
from tillstream.csv.encoding import Encoding
from tillstream.csv.records import MAX_RECORD_BYTES, Fault, Record, RecordSplitter

NUL = "\x00"


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
    """Rows that follow each other, and where the next one begins. At the end of the file there may be no row."""

    rows: Sequence[Row]
    next_byte: int
    next_line: int
    is_last: bool


class RowReader:
    """Reads rows from any place where one begins: (next_byte, next_line) of a chunk is all that a resumption needs.

    Empty lines are no rows. Every row has as many cells as the header; another number is a refusal of that row.
    """

    def __init__(
        self,
        file: BinaryIO,
        separator: str,
        width: int,
        next_byte: int,
        next_line: int,
        encoding: Encoding = Encoding.UTF_8,
    ) -> None:
        self._records = RecordSplitter(file, separator, next_byte, next_line, encoding)
        self._separator = separator
        self._width = width
        self._encoding = encoding

    def read_chunk(self, max_rows: int, max_bytes: int) -> Chunk:
        """At most `max_rows` rows, and no further one once `max_bytes` of the file are read. Blocks on the disk.

        Raises FileRefused where the file is no text with lines at all.
        """
        first_byte = self._records.next_byte
        rows: list[Row] = []
        while len(rows) < max_rows and self._records.next_byte - first_byte < max_bytes:
            record = self._records.next_record()
            if record is None:
                return self._chunk(rows, is_last=True)
            if record.raw:
                rows.append(self._row(record))
        return self._chunk(rows, is_last=False)

    def _chunk(self, rows: list[Row], *, is_last: bool) -> Chunk:
        return Chunk(rows, self._records.next_byte, self._records.next_line, is_last)

    def _row(self, record: Record) -> Row:
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
