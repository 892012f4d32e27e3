"""A batch of the log taken in columns: framing, headers and values of all its records, by one expression.

The expression finds; what it found counts only where it adds up: every length that the format states is the length of what
stands there, and the records fill the batch from its first byte to its last, with every offset. Then a reader that goes by
the lengths finds the same parts. Everything else is left to such a reader.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, override

from tillstream.contracts.parts import Lazy
from tillstream.contracts.record_forms import HeaderForm, RecordForm
from tillstream.kafka.log_format import BatchHead, read_body
from tillstream.kafka.records import Place, Record

MOST_RECORDS = 8_192
MOST_BYTES = 2 * 1024 * 1024  # of a batch, unpacked; ours have half a megabyte
# A whole number of up to 32 bits as the format has it: seven bits a byte, the last byte below 128.
_NUMBER = rb"[\x80-\xff]{0,4}[\x00-\x7f]"
_LONG_NUMBER = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_SIGN_BITS, _BITS = 1, 7


def written_number(number: int) -> bytes:
    """A number ≥ 0 as the log format writes it: https://kafka.apache.org/documentation/#recordbatch, "varint"."""
    left, written = number << _SIGN_BITS, bytearray()
    while left >> _BITS:
        written.append(left & 0x7F | 0x80)
        left >>= _BITS
    written.append(left)
    return bytes(written)


_WRITTEN = tuple(map(written_number, range(MOST_RECORDS)))
_LENGTHS = {written: number for number, written in enumerate(_WRITTEN)}


class Block(Lazy[Record]):
    """Records of one place as columns of bytes, without a gap between their offsets. A `Record` is made when asked for."""

    def __init__(
        self, place: Place, head: BatchHead, columns: dict[str, Sequence[bytes]], appended_at: datetime
    ) -> None:
        self.topic, self.partition = place
        self.place = place
        self.first_offset = head.base
        self.next_offset = head.base + head.records
        self.appended_at = appended_at
        self._columns = columns
        self._bodies = columns["_body"]

    def __repr__(self) -> str:
        return f"<Block {self.place}: {self.first_offset} to {self.next_offset - 1}>"

    @override
    def __len__(self) -> int:
        return len(self._bodies)

    @cached_property
    def size(self) -> int:
        """Bytes of all records."""
        return sum(map(len, self._bodies))

    def column(self, name: str) -> Sequence[bytes]:
        """What a named part of the form is in each record; empty where it is left out."""
        return self._columns[name]

    @override
    def item(self, place: int) -> Record:
        body = read_body(self._bodies[place])
        return Record(
            *self.place, self.first_offset + place, body.key, body.value, body.headers, self.appended_at
        )


def may_be_plain(form: RecordForm, head: BatchHead) -> bool:
    """Whether a batch is worth a look: neither small nor huge, without gaps, and of one time, which the broker gave it."""
    is_in_columns = head.is_whole and head.has_append_time and not head.is_control
    return is_in_columns and form.least_records <= head.records <= MOST_RECORDS


def block_of(
    form: RecordForm, place: Place, head: BatchHead, data: bytes, appended_at: datetime
) -> Block | None:
    """The records of a batch that may be plain, in columns, or None where one of them has another form.

    `data` are its records, unpacked; `appended_at` is the time that the broker gave all of them.
    """
    if len(data) > MOST_BYTES:
        return None
    expression = _expression(form)
    first = expression.match(data)
    if first is None or first["_body"] is None:  # as a rule all have the form or none has it
        return None
    found: list[tuple[bytes, ...]] = expression.findall(data)
    if len(found) != head.records:
        return None
    values = list(zip(*found, strict=True))
    columns: dict[str, Sequence[bytes]] = {name: values[at - 1] for name, at in expression.groupindex.items()}
    return Block(place, head, columns, appended_at) if _adds_up(form, columns) else None


def _adds_up(form: RecordForm, columns: dict[str, Sequence[bytes]]) -> bool:
    """Whether all is records, each with its offset, and all lengths are right."""
    # Matches follow each other without a gap. The one of what is no record has no offset.
    if columns["_delta"] != _WRITTEN[: len(columns["_delta"])]:
        return False
    sized = ("_body", "_key", "_value", *(_group(header) for header in form.headers if header.size is None))
    return all(
        list(map(_LENGTHS.get, columns[_size_of(name)])) == list(map(len, columns[name])) for name in sized
    )


@lru_cache
def _expression(form: RecordForm) -> Any:
    """Of one whole record. A record is its size and its body; a body is attributes (none), time, offset, key, value, headers.

    Where no record stands, all that is left is one match without parts: else the search would begin anew at each byte, which
    takes a tenth of a second for MOST_BYTES, and a foreign producer packs hundreds of such batches into a fetch.
    """
    count = re.escape(written_number(len(form.headers)))
    body = rb"\x00%s(?P<_delta>%s)%s%s%s%s" % (
        _LONG_NUMBER,
        _NUMBER,
        _sized("_key", form.key),
        _sized("_value", form.value),
        count,
        b"".join(map(_header, form.headers)),
    )
    return re.compile(rb"%s|.+" % _sized("_body", body), re.DOTALL)


def _header(form: HeaderForm) -> bytes:
    name = form.name.encode()
    opening = re.escape(written_number(len(name)) + name)
    if form.size is None:
        return opening + _sized(_group(form), form.value)
    value = rb"(?P<%s>%s)" % (_group(form).encode(), form.value) if form.is_kept else rb"(?:%s)" % form.value
    return opening + re.escape(written_number(form.size)) + value


def _sized(name: str, value: bytes) -> bytes:
    return rb"(?P<%s>%s)(?P<%s>%s)" % (_size_of(name).encode(), _NUMBER, name.encode(), value)


def _group(header: HeaderForm) -> str:
    return header.name.replace("-", "_")


def _size_of(name: str) -> str:
    return f"{name}_size"
