"""Records as aiokafka decodes them, made ours at once; and whole batches of them taken in columns, where they have a plain form.

aiokafka 0.14 builds a dataclass of eleven fields for each record, in Python. That costs more than decoding it in C, and ours
would be built from it once more. So its fetcher is given another reader of record batches, which goes by columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import count, islice, repeat
from operator import attrgetter
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords  # before it is replaced
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from tillstream.contracts.record_forms import RecordForm
from tillstream.kafka.log_columns import Block, block_of, may_be_plain
from tillstream.kafka.log_format import (
    RUN_RECORDS,
    BatchHead,
    begins_with_a_batch,
    opened,
    refuse_crowds,
    unpacked,
    whole_batches,
)
from tillstream.kafka.records import Place, Record, bytes_of, bytes_of_all

MS = 1_000
PART_BYTES = 1024 * 1024
# Unpacked, but for the batch that passes it; of our own a poll has eight megabytes at most.
POLL_BYTES = 16 * 1024 * 1024
MOMENTS_REMEMBERED = 10_000
LAST_MOMENT_MS = 253_370_764_800_000  # 9999-01-01: a year is left for what is added to a moment

_columns = attrgetter("offset", "key", "value", "headers", "timestamp")
_make_record = partial(tuple.__new__, Record)


class RecordForms:
    """The plain forms by topic, on their way through aiokafka: it passes a deserializer of values on to whatever reads
    batches, which here makes use of these and calls none.

    On the same way goes how much one poll may unpack: aiokafka counts parts only, and a kilobyte may unpack to one of many
    megabytes."""

    def __init__(self, by_topic: Mapping[str, RecordForm]) -> None:
        self._by_topic = by_topic
        self._left_bytes = POLL_BYTES

    def __call__(self, value: bytes | None) -> bytes | None:
        """What a deserializer does: nothing."""
        return value

    def begin_poll(self) -> None:
        """From now on POLL_BYTES may be unpacked."""
        self._left_bytes = POLL_BYTES

    @property
    def is_spent(self) -> bool:
        """Whether no other batch may be unpacked in this poll."""
        return self._left_bytes <= 0

    def spend(self, size: int) -> None:
        """So many bytes were unpacked."""
        self._left_bytes -= size

    def of(self, topic: str) -> RecordForm | None:
        """The plain form of a topic's records, if there is one."""
        return self._by_topic.get(topic)


def hand_out_our_records() -> None:
    """From now on each consumer of this process that is given `RecordForms` gets `Record`s and `Block`s of them; any other one
    gets what it always got. aiokafka has no better place to say so; may be repeated."""
    fetcher.MemoryRecords = _Batches
    fetcher.PartitionRecords = _partition_records


def _partition_records(
    partition: TopicPartition,
    records: "_Batches",
    aborted: Any,
    begin: int,
    key_of: Any,
    value_of: Any,
    *rest: Any,
) -> Any:
    if isinstance(value_of, RecordForms):
        return _InColumns(partition, records, aborted, begin, key_of, value_of, *rest)
    theirs = MemoryRecords(records.data)
    return PartitionRecords(partition, theirs, aborted, begin, key_of, value_of, *rest)


class _Batches:
    """What aiokafka's fetcher needs to know of a partition's bytes; its own class hides them."""

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data)

    def has_next(self) -> bool:
        return begins_with_a_batch(self.data)

    def size_in_bytes(self) -> int:
        return len(self.data)


class _InColumns(PartitionRecords):  # type: ignore[misc] # aiokafka's base has no types
    """What a broker sent of one partition. Nothing writes transactions to our topics, so none is looked for.

    What it hands out are parts of many records: aiokafka counts them, and looks at nothing of them.
    """

    next_fetch_offset: int
    _records: _Batches
    _value_deserializer: RecordForms
    _tp: TopicPartition

    def _unpack_records(self) -> Iterator[Sequence[Record]]:
        """`next_fetch_offset` stands behind each part before it is handed out: aiokafka goes on from there. So it does where
        this ends early, with another fetch."""
        forms = self._value_deserializer
        for head, packed in whole_batches(self._records.data):
            if forms.is_spent:
                return
            data = unpacked(head, packed)
            forms.spend(len(data))
            block = self._block(head, data)
            if block is not None:
                self.next_fetch_offset = block.next_offset
                yield block
            else:
                refuse_crowds(head, data)
                yield from self._one_by_one(head, opened(head, packed, data))
            # Compaction may have taken its last records.
            self.next_fetch_offset = max(self.next_fetch_offset, head.next_offset)

    def _one_by_one(self, head: BatchHead, batch: bytes) -> Iterator[list[Record]]:
        if head.is_control:  # the broker's own notes
            return
        for some in _records_of(DefaultRecordBatch(batch), head, *self._tp):
            # A broker sends the whole batch that has the offset.
            wanted = some if some[0].offset >= self.next_fetch_offset else self._not_yet(some)
            for part in _of_bounded_size(wanted):
                self.next_fetch_offset = part[-1].next_offset
                yield part

    def _not_yet(self, records: list[Record]) -> list[Record]:
        return [record for record in records if record.offset >= self.next_fetch_offset]

    def _block(self, head: BatchHead, data: bytes) -> Block | None:
        """The whole batch in columns, where the fetch goes on at its begin and each record has the plain form."""
        form = self._value_deserializer.of(self._tp.topic)
        if form is None or head.base < self.next_fetch_offset or not may_be_plain(form, head):
            return None
        return block_of(form, Place(*self._tp), head, data, moment(head.last_ms))


def _records_of(batch: Any, head: BatchHead, topic: str, partition: int) -> Iterator[list[Record]]:
    """Not all at once: a batch may be compressed, and have any number of records."""
    reading = map(_columns, batch)
    places = count(head.base)
    while rows := list(islice(reading, RUN_RECORDS)):
        offsets, *columns = zip(*rows, strict=True)
        by_place = list(islice(places, len(rows)))
        yield list(_in_columns(topic, partition, by_place if head.is_whole else offsets, *columns))
        # Asked once more after its end, aiokafka's iterator would read on behind it.
        if len(rows) < RUN_RECORDS:
            return


def _of_bounded_size(records: list[Record]) -> Iterator[list[Record]]:
    """As they are, or, where they are large, in parts that end with the record that reaches PART_BYTES."""
    if not records or bytes_of_all(records) <= PART_BYTES:
        yield from [records] if records else []
        return
    part: list[Record] = []
    size = 0
    for record in records:
        part.append(record)
        size += bytes_of(record)
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    yield from [part] if part else []


def _in_columns(
    topic: str,
    partition: int,
    offsets: Iterable[int],
    keys: Iterable[Any],
    values: Iterable[Any],
    headers: Iterable[Any],
    stamps: Iterable[int],
) -> Iterator[Record]:
    """One step of Python per record would cost as much as decoding it."""
    columns = (
        repeat(topic),
        repeat(partition),
        offsets,
        keys,
        values,
        map(tuple, headers),
        map(moment, stamps),
        repeat(None),
        repeat(None),
    )
    return map(_make_record, zip(*columns, strict=False))  # some of them have no end


@lru_cache(maxsize=MOMENTS_REMEMBERED)
def moment(milliseconds: int) -> datetime:
    """Without a detour over floats, which would lose microseconds in the far future. Records of one batch share theirs.

    Where a topic takes its producers' times, they may say anything: what lies beyond the calendar is its last year but one.
    """
    seconds, rest = divmod(min(max(milliseconds, 0), LAST_MOMENT_MS), MS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * MS)
