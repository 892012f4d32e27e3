"""Physical records of a file: where each one begins, on which line, and where the next one does.

Everything here works on bytes. In UTF-8 no byte of a longer character equals a quote, a separator or a line end, and in an
8-bit encoding no other character does, so records are found without decoding, and a broken character spoils its own record
only. UTF-16 is turned into UTF-8 block by block; bytes and places are those of the file all the same.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from tillstream.csv.encoding import Encoding
from tillstream.csv.quotes import QuoteScanner
from tillstream.csv.wide import WideReader, cut_utf8
from tillstream.errors import FileRefused

# A legal row needs below 14 KiB (five texts of 320 characters, every one a doubled quote or of four bytes). The bound also
# keeps every cell below the standard csv module's own limit of 131,072 characters.
MAX_RECORD_BYTES = 65_536
# What is longer than this without a line end is no text. Skipping to the end of a longer line could take minutes, and the
# reader cannot be resumed in the middle of one.
MAX_LINE_BYTES = 16_777_216
READ_BYTES = 1_048_576
# A whole record, and a line end of two bytes after it.
_WINDOW_BYTES = MAX_RECORD_BYTES + 2

_LINE_END = re.compile(rb"\r\n?|\n")


class Fault(StrEnum):
    """Why a record could not even be cut out of the file."""

    TOO_LONG = "too_long"
    BROKEN_QUOTES = "broken_quotes"


@dataclass(frozen=True, slots=True)
class Record:
    """One record, without its line end, byte for byte. `raw` of a record that is too long is its first MAX_RECORD_BYTES.

    The bound is on a record in UTF-8; one in UTF-16 may have up to twice as many bytes.
    """

    line: int
    raw: bytes
    fault: Fault | None = None


class RecordSplitter:
    """Cuts a file into records, from any place where one begins.

    A line end within quotes belongs to its cell. Quotes that are not closed within MAX_RECORD_BYTES, or that are followed
    by something else than a separator or a line end, spoil one physical line: reading goes on with the next one, so that a
    single stray quote does not swallow the good rows after it. Lines end with LF, CRLF or CR, also mixed.
    """

    def __init__(
        self,
        file: BinaryIO,
        separator: str,
        next_byte: int,
        next_line: int,
        encoding: Encoding = Encoding.UTF_8,
    ) -> None:
        self._file = file
        self._wide = WideReader(encoding) if encoding.is_wide else None
        self._inner, self._last = _patterns(separator)
        self._quotes = QuoteScanner(separator)
        self._buffer = b""
        self._at = 0
        self._next_byte = next_byte
        self._is_last_buffer = False
        self._line = next_line
        file.seek(next_byte)

    @property
    def next_byte(self) -> int:
        """Where the next record begins."""
        return self._next_byte

    @property
    def next_line(self) -> int:
        """The physical line, from 1, on which the next record begins."""
        return self._line

    def next_record(self) -> Record | None:
        """The next record, or None at the end of the file. Raises FileRefused for a line above MAX_LINE_BYTES."""
        self._fill()
        at, buffer = self._at, self._buffer
        if at == len(buffer):
            return None
        line_end = _LINE_END.search(buffer, at, at + _WINDOW_BYTES)
        end = line_end.start() if line_end else len(buffer)
        if end - at > MAX_RECORD_BYTES:
            return self._too_long()
        if buffer.find(b'"', at, end) >= 0:
            return self._quoted(end, line_end.end() if line_end else end)
        return self._take(end, line_end.end() if line_end else end, 1)

    def lines_ahead(self, most_bytes: int) -> bytes:
        """Whole lines from here on, each with its LF, as they lie in the buffer: about so many bytes, perhaps none.

        Nothing is taken by it; see `pass_over`. None are offered where the bytes are not those of the file (UTF-16).
        """
        if self._wide is not None:
            return b""
        self._fill()
        end = self._buffer.rfind(b"\n", self._at, self._at + most_bytes) + 1
        return self._buffer[self._at : end] if end else b""

    def pass_over(self, size: int, lines: int) -> None:
        """The first lines that `lines_ahead` gave were taken: so many bytes, LFs included."""
        self._move_to(self._at + size)
        self._line += lines

    def _quoted(self, line_end: int, next_line_start: int) -> Record:
        at = self._at
        is_rest = self._is_last_buffer and len(self._buffer) - at <= _WINDOW_BYTES
        end = self._end_of_quoted(at, is_rest=is_rest)
        if end is None or end - at > MAX_RECORD_BYTES:
            return self._take(line_end, next_line_start, 1, Fault.BROKEN_QUOTES)
        lines = 1 if end == line_end else 1 + len(_LINE_END.findall(self._buffer, at, end))
        after = _LINE_END.match(self._buffer, end)
        return self._take(end, after.end() if after else end, lines)

    def _end_of_quoted(self, at: int, *, is_rest: bool) -> int | None:
        """One pattern finds it at once; the scanner has the same answer, and knows it sooner for many broken lines in a row."""
        limit = min(at + _WINDOW_BYTES, len(self._buffer))
        if not self._quotes.knows(at):
            found = (self._last if is_rest else self._inner).match(self._buffer, at, limit)
            if found is not None:
                return found.end(1)
        return self._quotes.record_end(self._buffer, at, limit, is_rest=is_rest)

    def _take(self, end: int, next_start: int, lines: int, fault: Fault | None = None) -> Record:
        raw = self._buffer[self._at : end]
        if self._wide is not None:
            raw = self._wide.exact(raw)
        record = Record(self._line, raw, fault)
        self._move_to(next_start)
        self._line += lines
        return record

    def _move_to(self, at: int) -> None:
        """The only way forward: the place in the buffer and the one in the file move together."""
        if self._wide is None:
            self._next_byte += at - self._at
        else:
            self._next_byte += len(self._wide.exact(self._buffer[self._at : at]))
        self._at = at

    def _too_long(self) -> Record:
        raw = self._buffer[self._at : self._at + _WINDOW_BYTES]
        shown = (
            raw[:MAX_RECORD_BYTES]
            if self._wide is None
            else self._wide.exact(cut_utf8(raw, MAX_RECORD_BYTES))
        )
        record = Record(self._line, shown, Fault.TOO_LONG)
        first_byte = self.next_byte
        while not self._skip_to_line_end():
            if self.next_byte - first_byte > MAX_LINE_BYTES:
                raise FileRefused(
                    f"line_too_long: line {self._line} has no end within {MAX_LINE_BYTES} bytes; this is no CSV file"
                )
        self._line += 1
        return record

    def _skip_to_line_end(self) -> bool:
        self._fill()
        found = _LINE_END.search(self._buffer, self._at)
        if found is None:
            self._move_to(len(self._buffer))
            return self._is_last_buffer
        if found.end() == len(self._buffer) and not self._is_last_buffer:
            self._move_to(found.start())  # a CR whose LF may be the next byte
            return False
        self._move_to(found.end())
        return True

    def _fill(self) -> None:
        while not self._is_last_buffer and len(self._buffer) - self._at < _WINDOW_BYTES:
            more = self._file.read(READ_BYTES)
            self._is_last_buffer = not more
            if self._wide is not None:
                more = self._wide.to_utf8(more)
            self._buffer = self._buffer[self._at :] + more
            self._at = 0
            self._quotes.forget()


def _patterns(separator: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """What a record looks like inside the file, and at its very end, where the line end may be missing.

    Group 1 is the record. All repetitions are possessive: the match is linear in the record's length.
    """
    mark = re.escape(separator).encode()
    cell = rb'(?:"(?:[^"]++|"")*+"|[^"\r\n' + mark + rb"][^\r\n" + mark + rb"]*+)?+"
    record = rb"(" + cell + rb"(?:" + mark + cell + rb")*+)"
    return re.compile(record + rb"(?:\r\n?|\n)"), re.compile(record + rb"(?:\r\n?|\n|\Z)")
