"""The encodings that files may be in, and what may be declared of one."""

from enum import StrEnum
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

from tillstream.contracts.reasons import Reason
from tillstream.contracts.rules import broken


class Encoding(StrEnum):
    """The encodings that are read, by names that Python, editors and the web agree on."""

    UTF_8 = "utf-8"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    WINDOWS_1250 = "windows-1250"
    WINDOWS_1251 = "windows-1251"
    WINDOWS_1252 = "windows-1252"
    WINDOWS_1253 = "windows-1253"
    WINDOWS_1254 = "windows-1254"
    ISO_8859_1 = "iso-8859-1"
    ISO_8859_2 = "iso-8859-2"
    ISO_8859_5 = "iso-8859-5"
    ISO_8859_7 = "iso-8859-7"
    ISO_8859_9 = "iso-8859-9"
    ISO_8859_15 = "iso-8859-15"
    KOI8_R = "koi8-r"

    @property
    def is_wide(self) -> bool:
        """Whether every character has two bytes or four; in all others ASCII is one byte, and no other character has that byte."""
        return self in {Encoding.UTF_16_LE, Encoding.UTF_16_BE}

    @property
    def label(self) -> str:
        """As a sentence names it."""
        return self.value.upper() if self.value.startswith("utf") else self.value


# What may be declared for all files: the others are found out.
DECLARABLE = tuple(each for each in Encoding if not each.value.startswith("utf"))
# Of one file also that it is UTF-8, where most of its neighbours are not.
DECLARABLE_OF_A_FILE = (Encoding.UTF_8, *DECLARABLE)
_NAMES = [each.value for each in DECLARABLE_OF_A_FILE]
_BY_NAME = dict(zip(_NAMES, DECLARABLE_OF_A_FILE, strict=True))
ENCODING_RULE = f"must be one of {', '.join(_NAMES)}; UTF-16 is found out without being declared"


def _declared(value: object) -> Encoding:
    """Names count without regard to case: registries write them in capitals."""
    encoding = _BY_NAME.get(value.lower()) if isinstance(value, str) else None
    if encoding is None:
        raise broken(Reason.INVALID_RECORD, ENCODING_RULE)
    return encoding


DeclaredEncoding = Annotated[
    Encoding, PlainValidator(_declared), WithJsonSchema({"type": "string", "enum": _NAMES})
]
