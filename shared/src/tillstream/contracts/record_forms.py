"""The plain form of a topic's records: what those look like, byte by byte, that our own door writes.

A form decides nothing. Records that have it may be taken in columns, by what its expressions name; all others are read one
by one, by the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tillstream.contracts.envelope import RecordLike

LEAST_RECORDS = 16


@dataclass(frozen=True, slots=True)
class HeaderForm:
    """A header's value as an expression; `size` is its bytes where all have the same.

    Where `is_kept`, or where the size differs, its values are a column of the header's name.
    """

    name: str
    value: bytes
    size: int | None = None
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class RecordForm:
    """Expressions for the key, the value and each header, in order. Their named groups become columns.

    None of them may run over more than a bounded number of bytes, or match in more than one way. Of a batch with fewer than
    `least_records` nothing is gained.
    """

    key: bytes
    value: bytes
    headers: tuple[HeaderForm, ...]
    least_records: int = LEAST_RECORDS


class RecordColumns(Protocol):
    """Records of one partition that all have the plain form, without a gap between their offsets."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def first_offset(self) -> int: ...
    @property
    def appended_at(self) -> datetime: ...
    def __len__(self) -> int: ...
    def column(self, name: str) -> Sequence[bytes]:
        """One value per record; empty where the form leaves a part out."""
        ...

    def item(self, place: int) -> RecordLike:
        """The one at a place counted from 0, made when asked for."""
        ...
