"""In which encoding a file is written, and how surely that is known.

A byte order mark says it. Zero bytes between the letters of the header, whose names are ASCII, say UTF-16. Any other file is
UTF-8 if all of it is. The 8-bit encodings cannot be told from each other by looking: the byte 0xf8 is ø in one and ř in
another, and a wrong guess spoils names that nobody looks at. Such a one is used where a person declared it, and never for a file
that is UTF-8, be it only in part.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from tillstream.contracts.encodings import DECLARABLE, Encoding
from tillstream.errors import FileRefused

__all__ = [
    "CERTAINTY_SENTENCES",
    "DECLARABLE",
    "Certainty",
    "Encoding",
    "Found",
    "look_at_opening",
    "opening_of",
]

_OPENING_BYTES = 4
_UTF_32 = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")


class Certainty(StrEnum):
    """How an encoding is known, the surest first."""

    BYTE_ORDER_MARK = "byte_order_mark"
    WHOLE_FILE = "whole_file"
    DECLARED = "declared"
    DETECTED = "detected"
    ASSUMED = "assumed"


CERTAINTY_SENTENCES = {
    Certainty.BYTE_ORDER_MARK: "the file begins with its byte order mark",
    Certainty.WHOLE_FILE: "every byte of the file fits",
    Certainty.DECLARED: "declared; the file is no UTF-8",
    Certainty.DETECTED: "detected by the zero bytes in its first two letters",
    Certainty.ASSUMED: "assumed; rows that do not fit it are rejected",
}


@dataclass(frozen=True, slots=True)
class Found:
    """The encoding of a file. `start` is the byte after its byte order mark, if it has one."""

    encoding: Encoding
    certainty: Certainty
    start: int = 0


_MARKS = (
    (b"\xef\xbb\xbf", Encoding.UTF_8),
    (b"\xff\xfe", Encoding.UTF_16_LE),
    (b"\xfe\xff", Encoding.UTF_16_BE),
)


def look_at_opening(file: BinaryIO) -> Found:
    """What the first bytes of a file say. Raises FileRefused for UTF-32."""
    file.seek(0)
    return opening_of(file.read(_OPENING_BYTES))


def opening_of(first: bytes) -> Found:
    """The same for a file of which the first bytes, four or more where there are, were read."""
    if first.startswith(_UTF_32):
        raise FileRefused("unreadable_encoding: the file is in UTF-32; save it as UTF-8")
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return Found(encoding, Certainty.BYTE_ORDER_MARK, len(mark))
    zeros = [byte == 0 for byte in first[:_OPENING_BYTES]]
    if zeros == [False, True, False, True]:
        return Found(Encoding.UTF_16_LE, Certainty.DETECTED)
    if zeros == [True, False, True, False]:
        return Found(Encoding.UTF_16_BE, Certainty.DETECTED)
    return Found(Encoding.UTF_8, Certainty.ASSUMED)
