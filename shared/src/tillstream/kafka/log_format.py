"""Kafka's record batches as a broker sends them (format 2), read leniently.

aiokafka's own reader gives up on a header whose name is not UTF-8, which a broker takes without a word. This one is
slower and reads it. The format: https://kafka.apache.org/documentation/#recordbatch
"""

from collections.abc import Callable, Iterator
from itertools import islice
from struct import Struct
from typing import Any, NamedTuple

from aiokafka.errors import CorruptRecordException
from aiokafka.record.util import calc_crc32c, decode_varint

from tillstream.kafka.codecs import unpack
from tillstream.kafka.records import Headers

# Base offset, length, leader epoch, magic, CRC, attributes, last offset's delta, first and last time in ms, producer's id
# and epoch, sequence, number of records.
_HEAD = Struct(">qiibIhiqqqhii")
_LENGTH_ENDS_AT = 12  # bytes; the length counts what comes after it
_SUMMED_FROM = 21  # bytes: the CRC covers everything behind itself
_CODEC_AT = 22  # bytes: the lower half of the attributes
_FORMAT = 2
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20  # bits of the attributes

# Of one batch, and of RUN_RECORDS in a row: 32 MiB hold ten million headers, which take more than a gigabyte once they are made.
MOST_RECORDS, MOST_HEADERS, RUN_RECORDS = 500_000, 100_000, 250
_FEW_BYTES = 1024 * 1024  # as many headers as this has room for are no harm


class LoggedRecord(NamedTuple):
    """One record; `stamp_ms` is its time in milliseconds since 1970. With a `problem` it is all that a batch has and that
    cannot be read: at the last offset, with the records of the batch as they were packed as its value. The batch begins at
    `first_offset`; records of it that could be read come before."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    stamp_ms: int
    problem: str | None = None
    first_offset: int | None = None


class BatchHead(NamedTuple):
    """What a batch says of itself: the first offset, the last one's distance from it, and how its records are packed."""

    base: int
    length: int
    magic: int
    crc: int
    attributes: int
    last_delta: int
    first_ms: int
    last_ms: int
    records: int

    @property
    def codec(self) -> int:
        """The number of the codec by which its records are packed; 0 is none."""
        return self.attributes & _CODEC

    @property
    def is_control(self) -> bool:
        """The broker's own notes about transactions."""
        return bool(self.attributes & _CONTROL)

    @property
    def has_append_time(self) -> bool:
        """Whether the broker gave all records one time, which is `last_ms`."""
        return bool(self.attributes & _APPEND_TIME)

    @property
    def is_whole(self) -> bool:
        """Whether none of its records was taken away. Then a record's place says its offset, and what the record says of it
        itself does not count: of what is not compressed, a broker believes the sender."""
        return self.last_delta + 1 == self.records

    @property
    def next_offset(self) -> int:
        """What comes behind the batch, also where it has lost its last records."""
        return self.base + self.last_delta + 1

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return _LENGTH_ENDS_AT + self.length


class Body(NamedTuple):
    """A record without its size. Its offset and time are relative to the batch."""

    delta_ms: int
    delta: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Stretch(NamedTuple):
    """Some records of one partition, and the offset that comes after everything that was read."""

    records: list[LoggedRecord]
    next_offset: int


def _never() -> bool:
    return False


def read_stretch(data: bytes, begin: int, most: int, is_enough: Callable[[], bool] = _never) -> Stretch:
    """The first `most` records in these batches from offset `begin` on. The last batch may be cut off; it is not read then.
    Behind each batch `is_enough` is asked whether to leave the rest.

    Raises CorruptRecordException where the first of them are no record batch, or not the one that the broker was sent; behind
    others, such bytes end the stretch.
    """
    records: list[LoggedRecord] = []
    next_offset = begin
    try:
        for head, batch in whole_batches(data):
            wanted = (record for record in _read_batch(head, batch, begin) if record.offset >= begin)
            records += islice(wanted, most + 1 - len(records))
            if len(records) > most:
                return Stretch(records[:most], records[most].offset)
            next_offset = max(next_offset, head.next_offset)
            if is_enough():
                break
    except CorruptRecordException:
        if next_offset == begin:
            raise
    return Stretch(records, next_offset)


def whole_batches(data: bytes, at: int = 0) -> Iterator[tuple[BatchHead, bytes]]:
    """The batches that begin at this place, as far as the whole of each is there.

    Raises CorruptRecordException for bytes that are no record batch.
    """
    while at + _HEAD.size <= len(data):
        head = _head(data, at)
        if at + head.size > len(data):
            return
        if head.size < _HEAD.size:
            raise CorruptRecordException(f"A record batch of {head.length} bytes.")
        if head.magic != _FORMAT:
            raise CorruptRecordException(f"A record batch of format {head.magic}.")
        yield head, data[at : at + head.size]
        at += head.size


def begins_with_a_batch(data: bytes) -> bool:
    """Whether the whole of a batch is there, whatever it is."""
    return len(data) >= _HEAD.size and _head(data, 0).size <= len(data)


def _head(data: bytes, at: int) -> BatchHead:
    base, length, _, magic, crc, attributes, last_delta, first_ms, last_ms, _, _, _, count = (
        _HEAD.unpack_from(data, at)
    )
    return BatchHead(base, length, magic, crc, attributes, last_delta, first_ms, last_ms, count)


def unpacked(head: BatchHead, batch: bytes) -> bytes:
    """The records of a batch, one after the other. Raises CorruptRecordException."""
    _check_sum(head, batch)
    return unpack(head.codec, batch[_HEAD.size :])


def _check_sum(head: BatchHead, batch: bytes) -> None:
    if calc_crc32c(batch[_SUMMED_FROM:]) != head.crc:
        raise CorruptRecordException("A record batch has another checksum than it says.")


def opened(head: BatchHead, batch: bytes, data: bytes) -> bytes:
    """The same batch with its records, `data`, as they are. Its length and its checksum are not those that it states then."""
    if not head.codec:
        return batch
    bare = bytearray(batch[: _HEAD.size])
    bare[_CODEC_AT] &= ~_CODEC
    return bytes(bare) + data


def refuse_crowds(head: BatchHead, data: bytes) -> None:
    """Raises CorruptRecordException where a batch, unpacked to `data`, has too many records, or records with too many headers.

    To be asked before any record is made of it. What ends too early, or is no record, is left to whoever reads the records.
    """
    if head.records > MOST_RECORDS:
        raise CorruptRecordException(f"It has more than {MOST_RECORDS} records")
    if len(data) <= _FEW_BYTES:
        return
    headers = 0
    try:
        reader = _Reader(data)
        for place in range(head.records):
            found = reader.header_count()
            headers = found if place % RUN_RECORDS == 0 else headers + found
            if headers > MOST_HEADERS:
                raise CorruptRecordException(
                    f"{RUN_RECORDS} of its records have more than {MOST_HEADERS} headers"
                )
    except (ValueError, IndexError):
        return


def read_body(data: bytes) -> Body:
    """What stands behind a record's size. Raises ValueError, IndexError for what is no record."""
    return _Reader(data).body()


def _read_batch(head: BatchHead, batch: bytes, begin: int) -> Iterator[LoggedRecord]:
    """Its records, those before `begin` left out where that is simple. Where they cannot be read, one for all the rest: a
    partition must go on, and the next try is as this one.

    A wrong checksum raises CorruptRecordException: what a disk or a network has changed may come right the next time.
    """
    _check_sum(head, batch)
    if head.is_control:
        return
    packed = batch[_HEAD.size :]
    try:
        data = unpack(head.codec, packed)
        refuse_crowds(head, data)
        yield from _records_of(head, data, begin)
    except (ValueError, IndexError, CorruptRecordException) as error:
        yield _packed(head, packed, error)


def _packed(head: BatchHead, records: bytes, error: Exception) -> LoggedRecord:
    last = head.next_offset - 1
    why = error.args[0] if error.args else error  # aiokafka's own text begins with a number
    problem = (
        f"The batch of {head.records} records at the offsets {head.base} to {last} cannot be read: {why}. It is kept as it was"
        f" packed, by codec {head.codec}, in {len(records)} bytes."
    )
    return LoggedRecord(last, None, records, (), head.last_ms, problem, head.base)


def _records_of(head: BatchHead, data: bytes, begin: int) -> Iterator[LoggedRecord]:
    reader = _Reader(data)
    # Records before `begin` are stepped over: a batch may have millions, and is read once for every few that are handed on.
    first = min(max(begin - head.base, 0), head.records) if head.is_whole else 0
    reader.step_over(first)
    for place in range(first, head.records):
        record = reader.record(head.base, head.first_ms, head.last_ms if head.has_append_time else None)
        yield record._replace(offset=head.base + place) if head.is_whole else record


class _Reader:
    """Reads records one after the other. Raises IndexError beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data = bytearray(data)  # what aiokafka's varints are read from
        self._at = 0

    def step_over(self, records: int) -> None:
        """By their lengths, to which a broker has held them."""
        for _ in range(records):
            self._step(self._length())

    def header_count(self) -> int:
        """Of the next record, which is stepped over."""
        end = self._length() + self._at
        for _ in range(3):  # attributes, time, offset
            self._number()
        for _ in range(2):  # key, value
            self._step(max(self._number(), 0))
        count = self._number()
        self._at = end
        return count

    def record(self, base: int, first_ms: int, appended_ms: int | None) -> LoggedRecord:
        """A record's offset and time are relative to its batch, unless the broker gave all of them one time."""
        self._number()  # its length, which its parts give as well
        delta_ms, delta, key, value, headers = self.body()
        stamp_ms = first_ms + delta_ms if appended_ms is None else appended_ms
        return LoggedRecord(base + delta, key, value, headers, stamp_ms)

    def body(self) -> Body:
        """Everything of a record behind its length."""
        self._number()  # attributes: none are used
        delta_ms, delta = self._number(), self._number()
        key, value = self._bytes(), self._bytes()
        headers = tuple(self._header() for _ in range(self._number()))
        return Body(delta_ms, delta, key, value, headers)

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
        self._step(size)
        return bytes(self._data[self._at - size : self._at])

    def _length(self) -> int:
        """Of a record, which nothing holds to be one. Raises ValueError."""
        size = self._number()
        if size < 0:
            raise ValueError("a record has a negative length")
        return size

    def _step(self, size: int) -> None:
        self._at += size
        if self._at > len(self._data):
            raise IndexError("a record is longer than its batch")
