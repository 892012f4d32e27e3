"""What a file is, found out by reading it whole once before its first row: encoding and number of lines.

The lines are counted apart from the reader of records, so that at the end the two can be held against each other.
"""

import codecs

from tillstream.csv.encoding import Certainty, Encoding, Found, opening_of
from tillstream.csv.wide import WideReader
from tillstream.errors import FileRefused


class LineCount:
    """Lines as an editor counts them, however the blocks cut the text: ended by LF, CRLF or CR; text after the last end is one more."""

    def __init__(self) -> None:
        self._ends = 0
        self._last = b""

    @property
    def total(self) -> int:
        return self._ends + (self._last not in {b"", b"\n", b"\r"})

    def take(self, block: bytes) -> None:
        if not block:
            return
        returns = block.count(b"\r")
        pairs = block.count(b"\r\n") if returns else 0
        self._ends += block.count(b"\n") + returns - pairs - (self._last == b"\r" and block.startswith(b"\n"))
        self._last = block[-1:]


class _Utf8Look:
    """Whether bytes are UTF-8, and whether they have any character that only UTF-8 would write so."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._has_broken = False
        self._has_longer = False

    @property
    def is_whole(self) -> bool:
        return not self._has_broken and not self._decoder.getstate()[0]

    @property
    def is_partly(self) -> bool:
        return self._has_longer

    def take(self, block: bytes) -> None:
        if not self._has_broken:
            held = bytes(self._decoder.getstate()[0])
            try:
                self._has_longer |= not self._decoder.decode(block).isascii()
            except UnicodeDecodeError:
                self._has_broken = True
                self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
                block = held + block
            else:
                return
        if not self._has_longer:
            self._has_longer = not _is_ascii_but_for_escapes(self._decoder.decode(block))


def _is_ascii_but_for_escapes(text: str) -> bool:
    try:
        text.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


class Survey:
    """Takes the blocks of a file in their order; the first one has at least four bytes if the file has them."""

    def __init__(self) -> None:
        self.bytes = 0
        self._opening: Found | None = None
        self._wide: WideReader | None = None
        self._lines = LineCount()
        self._utf8 = _Utf8Look()
        self._problem: str | None = None

    @property
    def lines(self) -> int:
        return self._lines.total

    def refuse(self, error: FileRefused) -> None:
        """The file cannot be read to its end."""
        self._problem = self._problem or str(error)

    def take(self, block: bytes) -> None:
        """Never raises for what the block holds. An empty one is the end."""
        self.bytes += len(block)
        if self._problem is not None:
            return
        try:
            self._take(block)
        except FileRefused as error:
            self.refuse(error)

    def _take(self, block: bytes) -> None:
        if self._opening is None:
            self._opening = opening_of(block)
            block = block[self._opening.start :]
            if self._opening.encoding.is_wide:
                self._wide = WideReader(self._opening.encoding)
        if self._wide is not None:
            block = self._wide.to_utf8(block)
        else:
            self._utf8.take(block)
        self._lines.take(block)

    def found(self, declared: Encoding | None = None) -> Found:
        """The encoding; `declared` counts for what is no UTF-8, not even in part, and UTF-8 is what is assumed anyway.

        Raises FileRefused for UTF-32 and half characters.
        """
        if self._problem is not None:
            raise FileRefused(self._problem)
        opening = self._opening or opening_of(b"")
        if opening.certainty is not Certainty.ASSUMED:
            return opening
        if self._utf8.is_whole:
            return Found(Encoding.UTF_8, Certainty.WHOLE_FILE)
        if declared not in {None, Encoding.UTF_8} and not self._utf8.is_partly:
            return Found(declared, Certainty.DECLARED)
        return opening

    def check_end(self, next_byte: int, next_line: int) -> None:
        """Raises FileRefused where the reader of records did not come to the end by the same number of lines."""
        if (next_byte, next_line - 1) != (self.bytes, self.lines):
            raise FileRefused(
                f"does_not_add_up: its records end at byte {next_byte} after {next_line - 1} lines;"
                f" the file has {self.bytes} bytes and {self.lines} lines"
            )
