"""UTF-16 as UTF-8 and back, so that records are found in one way and places in the file stay exact.

Lone surrogates, which no text has, go both ways unchanged: what is wrong with a row is said of that row.
"""

import codecs

from tillstream.csv.encoding import Encoding
from tillstream.errors import FileRefused

_KEEP_SURROGATES = "surrogatepass"
# The two highest bits of every byte of a character but its first.
_FOLLOWS_MASK, _FOLLOWS = 0b1100_0000, 0b1000_0000


class WideReader:
    """Turns blocks of a UTF-16 file, however they are cut, into whole characters of UTF-8."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding.value)(_KEEP_SURROGATES)

    def to_utf8(self, block: bytes) -> bytes:
        """An empty block is the end. Raises FileRefused where that falls into a character."""
        try:
            text = self._decoder.decode(block, not block)
        except UnicodeDecodeError:
            raise FileRefused(
                f"cut_off: a file in {self._encoding.label} has an even number of bytes, and this one has not"
            ) from None
        return text.encode("utf-8", _KEEP_SURROGATES)

    def exact(self, utf8: bytes) -> bytes:
        """The bytes in the file that became these, which begin and end with whole characters."""
        return utf8.decode("utf-8", _KEEP_SURROGATES).encode(self._encoding.value, _KEEP_SURROGATES)


def cut_utf8(data: bytes, most: int) -> bytes:
    """At most this many bytes from the beginning, and no part of a character at the end."""
    end = min(most, len(data))
    while end and end < len(data) and data[end] & _FOLLOWS_MASK == _FOLLOWS:
        end -= 1
    return data[:end]
