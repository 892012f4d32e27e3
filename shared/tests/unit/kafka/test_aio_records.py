"""What aiokafka's fetcher hands out once it was told to: our records, in its own order and from its own positions."""

from collections.abc import Sequence
from struct import pack_into

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from tillstream.kafka.aio_records import RECORDS_AT_ONCE, hand_out_our_records, moment
from tillstream.kafka.records import Record

pytestmark = pytest.mark.unit

PARTITION = TopicPartition("t", 3)
STAMP_MS = 1_700_000_000_123
VALUE = b"v"
CRC_AT, SUMMED_FROM, FLAGS_AT = 17, 21, 22
CONTROL = 0x20
ZSTD = 4


def batch_of(count: int, base: int = 0, *, flags: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, ZSTD, 0, -1, -1, 0, 2**24)
    for at in range(count):
        builder.append(at, timestamp=STAMP_MS, key=None, value=VALUE, headers=[("h", b"%d" % at)])
    batch = builder.build()
    pack_into(">q", batch, 0, base)
    batch[FLAGS_AT] |= flags
    pack_into(">I", batch, CRC_AT, calc_crc32c(batch[SUMMED_FROM:]))
    return bytes(batch)


def read(batches: Sequence[bytes], begin: int = 0) -> fetcher.PartitionRecords:
    hand_out_our_records()
    records = MemoryRecords(b"".join(batches))
    return fetcher.PartitionRecords(PARTITION, records, [], begin, None, None, True, 0)


def test_a_record_has_all_its_parts() -> None:
    [record] = read([batch_of(1, 7)])
    assert record == Record("t", 3, 7, None, VALUE, (("h", b"0"),), moment(STAMP_MS))
    assert type(record) is Record


def test_a_time_of_the_broker_keeps_its_milliseconds() -> None:
    assert moment(STAMP_MS).isoformat() == "2023-11-14T22:13:20.123000+00:00"


@pytest.mark.parametrize("count", [2, RECORDS_AT_ONCE, RECORDS_AT_ONCE + 1])
def test_batches_follow_each_other_from_where_the_fetch_began(count: int) -> None:
    reading = read([batch_of(count), batch_of(2, count)], begin=1)
    assert [record.offset for record in reading] == list(range(1, count + 2))
    assert reading.next_fetch_offset == count + 2


def test_whoever_stops_in_the_middle_goes_on_after_the_last_record_it_got() -> None:
    reading = read([batch_of(3)])
    offsets = [next(reading).offset, next(reading).offset]
    assert (offsets, reading.next_fetch_offset) == ([0, 1], 2)


def test_the_brokers_own_notes_are_passed_over() -> None:
    reading = read([batch_of(1, flags=CONTROL), batch_of(1, 1)])
    assert [record.offset for record in reading] == [1]


def test_a_wrong_checksum_is_refused() -> None:
    batch = bytearray(batch_of(1))
    batch[-1] ^= 1
    with pytest.raises(kafka.CorruptRecordException):
        list(read([bytes(batch)]))
