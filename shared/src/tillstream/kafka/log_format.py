"""Kafka's record batches as a broker sends them (format 2), read leniently.

aiokafka's own reader gives up on a header whose name is not UTF-8, which a broker takes without a word. This one is
slower and reads it. The format: https://kafka.apache.org/documentation/#recordbatch
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, NamedTuple

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.util import calc_crc32c, decode_varint

from tillstream.kafka.records import Headers

# Base offset, length, leader epoch, magic, CRC, attributes, last offset's delta, first and last time in ms, producer's id
# and epoch, sequence, number of records.
_HEAD = Struct(">qiibIhiqqqhii")
_LAST_DELTA = 6  # its place among them
_LENGTH_ENDS_AT = 12  # bytes; the length counts what comes after it
_SUMMED_FROM = 21  # bytes: the CRC covers everything behind itself
_FORMAT = 2
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20  # bits of the attributes
_DECODE: dict[int, Callable[[Any], Any]] = {
    0: bytes,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}


class LoggedRecord(NamedTuple):
    """One record; `stamp_ms` is its time in milliseconds since 1970."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    stamp_ms: int


class Stretch(NamedTuple):
    """Some records of one partition, and the offset that comes after everything that was read."""

    records: list[LoggedRecord]
    next_offset: int

    def cut(self, records: int) -> "Stretch":
        """The first of them only."""
        if len(self.records) <= records:
            return self
        return Stretch(self.records[:records], self.records[records].offset)


def read_stretch(data: bytes, begin: int) -> Stretch:
    """The records in these batches from offset `begin` on. The last batch may be cut off; it is not read then.

    Raises CorruptRecordException for bytes that are no record batch.
    """
    records: list[LoggedRecord] = []
    next_offset, at = begin, 0
    while at + _HEAD.size <= len(data):
        base, length, *_ = head = _HEAD.unpack_from(data, at)
        end = at + _LENGTH_ENDS_AT + length
        if end > len(data):
            break
        if end < at + _HEAD.size:
            raise CorruptRecordException(f"A record batch of {length} bytes.")
        try:
            records += [record for record in _read_batch(data[at:end]) if record.offset >= begin]
        except (ValueError, IndexError) as error:
            raise CorruptRecordException(f"Not a record batch: {error}") from error
        next_offset, at = max(next_offset, base + head[_LAST_DELTA] + 1), end
    return Stretch(records, next_offset)


def _read_batch(batch: bytes) -> Iterator[LoggedRecord]:
    base, _, _, magic, crc, attributes, _, first_ms, last_ms, _, _, _, count = _HEAD.unpack_from(batch)
    if magic != _FORMAT:
        raise CorruptRecordException(f"A record batch of format {magic}.")
    if calc_crc32c(batch[_SUMMED_FROM:]) != crc:
        raise CorruptRecordException("A record batch has another checksum than it says.")
    if attributes & _CONTROL:  # the broker's own notes about transactions
        return
    decode = _DECODE.get(attributes & _CODEC)
    if decode is None:
        raise UnsupportedCodecError(f"Compression {attributes & _CODEC} is not known.")
    reader = _Reader(decode(batch[_HEAD.size :]))
    for _ in range(count):
        yield reader.record(base, first_ms, last_ms if attributes & _APPEND_TIME else None)


class _Reader:
    """Reads records one after the other. Raises IndexError beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data = bytearray(data)  # what aiokafka's varints are read from
        self._at = 0

    def record(self, base: int, first_ms: int, appended_ms: int | None) -> LoggedRecord:
        """A record's offset and time are relative to its batch, unless the broker gave all of them one time."""
        self._number()  # its length, which its parts give as well
        self._number()  # attributes: none are used
        stamp_ms = first_ms + self._number()
        offset = base + self._number()
        key, value = self._bytes(), self._bytes()
        headers = tuple(self._header() for _ in range(self._number()))
        return LoggedRecord(offset, key, value, headers, stamp_ms if appended_ms is None else appended_ms)

    def _header(self) -> Any:
        """A value may be None, as everywhere in Kafka. A name that is not UTF-8 is nobody's: it is only made printable."""
        return (self._bytes() or b"").decode(errors="backslashreplace"), self._bytes()

    def _number(self) -> int:
        number, self._at = decode_varint(self._data, self._at)
        return int(number)

    def _bytes(self) -> bytes | None:
        size = self._number()
        if size < 0:
            return None
        self._at += size
        if self._at > len(self._data):
            raise IndexError("a record is longer than its batch")
        return bytes(self._data[self._at - size : self._at])
