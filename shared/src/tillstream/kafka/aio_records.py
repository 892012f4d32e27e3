"""Records as aiokafka decodes them, made ours at once.

aiokafka 0.14 builds a dataclass of eleven fields for each record, in Python. That costs more than decoding it in C, and ours
would be built from it once more. So its fetcher is given another reader of record batches, which goes by columns.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import islice, repeat
from operator import attrgetter
from typing import Any

from aiokafka import errors as kafka
from aiokafka.consumer import fetcher

from tillstream.kafka.records import Record

MS = 1_000
RECORDS_AT_ONCE = 500
MOMENTS_REMEMBERED = 10_000
LAST_MOMENT_MS = 253_370_764_800_000  # 9999-01-01: a year is left for what is added to a moment

_columns = attrgetter("offset", "key", "value", "headers", "timestamp")
_make_record = partial(tuple.__new__, Record)


def hand_out_our_records() -> None:
    """From now on every consumer of this process gets `Record`s. aiokafka has no better place to say so; may be repeated."""
    fetcher.PartitionRecords = _InColumns


class _InColumns(fetcher.PartitionRecords):  # type: ignore[misc] # aiokafka's base has no types
    """What a broker sent of one partition. Nothing writes transactions to our topics, so none is looked for."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Record]:
        """`next_fetch_offset` stands behind each record before it is handed out: aiokafka goes on from there."""
        while self._records.has_next():
            batch = self._records.next_batch()
            if not batch.validate_crc():
                raise kafka.CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not batch.is_control_batch:  # the broker's own notes
                for record in _records_of(batch, *self._tp):
                    # A broker sends the whole batch that has the offset.
                    if record.offset >= self.next_fetch_offset:
                        self.next_fetch_offset = record.offset + 1
                        yield record
            self.next_fetch_offset = batch.next_offset  # compaction may have taken its last records


def _records_of(batch: Any, topic: str, partition: int) -> Iterator[Record]:
    """Not all at once: a batch may be compressed, and have any number of records."""
    reading = map(_columns, batch)
    while rows := list(islice(reading, RECORDS_AT_ONCE)):
        yield from _in_columns(rows, topic, partition)
        # Asked once more after its end, aiokafka's iterator would read on behind it.
        if len(rows) < RECORDS_AT_ONCE:
            return


def _in_columns(rows: Sequence[tuple[Any, ...]], topic: str, partition: int) -> Iterator[Record]:
    """One step of Python per record would cost as much as decoding it."""
    offsets, keys, values, headers, stamps = zip(*rows, strict=True)
    columns = (
        repeat(topic),
        repeat(partition),
        offsets,
        keys,
        values,
        map(tuple, headers),
        map(moment, stamps),
    )
    return map(_make_record, zip(*columns, strict=False))  # the first two have no end


@lru_cache(maxsize=MOMENTS_REMEMBERED)
def moment(milliseconds: int) -> datetime:
    """Without a detour over floats, which would lose microseconds in the far future. Records of one batch share theirs.

    Where a topic takes its producers' times, they may say anything: what lies beyond the calendar is its last year but one.
    """
    seconds, rest = divmod(min(max(milliseconds, 0), LAST_MOMENT_MS), MS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * MS)
