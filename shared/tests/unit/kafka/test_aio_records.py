"""What aiokafka's fetcher hands out once it was told to: our records, in its own order and from its own positions."""

from collections.abc import Sequence
from struct import pack_into

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.consumer import fetcher

from tillstream.contracts.entities import EVENTS_TOPIC
from tillstream.contracts.plain_columns import PLAIN_FORMS
from tillstream.kafka.aio_records import (
    PART_BYTES,
    POLL_BYTES,
    RecordForms,
    hand_out_our_records,
    moment,
)
from tillstream.kafka.log_columns import Block
from tillstream.kafka.log_format import RUN_RECORDS, read_stretch
from tillstream.kafka.records import Record
from tillstream.testing.log_batches import (
    CONTROL,
    STAMP_MS,
    ZSTD,
    ToLog,
    log_batch,
    lying_batch,
    plain_event,
    sealed,
)

pytestmark = pytest.mark.unit

VALUE = b"v"
LAST_DELTA_AT = 23  # bytes from a batch's begin
PLAIN = [plain_event(number) for number in range(30)]


def batch_of(count: int, base: int = 0, *, flags: int = 0, value: bytes = VALUE) -> bytes:
    records = [ToLog(None, value, (("h", b"%d" % at),)) for at in range(count)]
    return log_batch(records, base=base, codec=ZSTD, flags=flags)


def read(
    batches: Sequence[bytes], begin: int = 0, topic: str = "t", forms: RecordForms | None = None
) -> fetcher.PartitionRecords:
    hand_out_our_records()
    records = fetcher.MemoryRecords(b"".join(batches))
    assert records.has_next()
    forms = forms or RecordForms(PLAIN_FORMS)
    return fetcher.PartitionRecords(TopicPartition(topic, 3), records, [], begin, None, forms, True, 0)


def offsets(reading: fetcher.PartitionRecords) -> list[int]:
    return [record.offset for part in reading for record in part]


def test_a_record_has_all_its_parts() -> None:
    [[record]] = read([batch_of(1, 7)])
    assert record == Record("t", 3, 7, None, VALUE, (("h", b"0"),), moment(STAMP_MS))
    assert type(record) is Record


def test_a_time_of_the_broker_keeps_its_milliseconds() -> None:
    assert moment(1_700_000_000_123).isoformat() == "2023-11-14T22:13:20.123000+00:00"


@pytest.mark.parametrize("count", [2, RUN_RECORDS, RUN_RECORDS + 1])
def test_batches_follow_each_other_from_where_the_fetch_began(count: int) -> None:
    reading = read([batch_of(count), batch_of(2, count)], begin=1)
    assert offsets(reading) == list(range(1, count + 2))
    assert reading.next_fetch_offset == count + 2


def test_whoever_stops_in_the_middle_goes_on_after_the_last_part_it_got() -> None:
    reading = read([batch_of(RUN_RECORDS + 3)])
    assert next(reading)[-1].next_offset == reading.next_fetch_offset == RUN_RECORDS


def test_large_records_come_in_smaller_parts() -> None:
    reading = read([batch_of(5, value=b"v" * (PART_BYTES // 2))])
    assert [len(part) for part in reading] == [2, 2, 1]


def test_one_poll_unpacks_no_more_than_memory_allows_and_the_next_one_goes_on() -> None:
    half = b"v" * (POLL_BYTES // 2)
    batches = [batch_of(1, base, value=half) for base in range(5)]
    forms = RecordForms({})
    reading, other = read(batches, forms=forms), read(batches, forms=forms)
    assert (offsets(reading), reading.next_fetch_offset) == ([0, 1], 2)
    assert (offsets(other), other.next_fetch_offset) == ([], 0), "its partition has its turn in the next one"
    forms.begin_poll()
    assert offsets(read(batches[2:], 2, forms=forms)) == [2, 3]


def test_plain_records_come_as_a_block_and_others_one_by_one() -> None:
    reading = read([log_batch(PLAIN), batch_of(2, 30), log_batch(PLAIN, base=32)], topic=EVENTS_TOPIC)
    parts = list(reading)
    assert [isinstance(part, Block) for part in parts] == [True, False, True]
    assert [record.offset for part in parts for record in part] == list(range(62))
    assert reading.next_fetch_offset == 62


def test_whoever_stops_after_a_block_goes_on_behind_it() -> None:
    reading = read([log_batch(PLAIN, base=5)], topic=EVENTS_TOPIC)
    assert len(next(reading)) == 30
    assert reading.next_fetch_offset == 35


def test_a_fetch_from_the_middle_of_a_plain_batch_gets_the_rest_of_it() -> None:
    reading = read([log_batch(PLAIN)], begin=11, topic=EVENTS_TOPIC)
    assert offsets(reading) == list(range(11, 30))


def test_another_topic_has_no_form() -> None:
    [part] = read([log_batch(PLAIN)])
    assert type(part) is list


@pytest.mark.parametrize(
    "deltas", [[0] * 300, [*range(299), 5_000], [5_000, *range(299)], range(299, -1, -1)]
)
@pytest.mark.parametrize("begin", [0, 1, RUN_RECORDS + 1])
def test_an_offset_is_where_the_broker_has_put_a_record_whatever_its_sender_says(
    deltas: Sequence[int], begin: int
) -> None:
    """Else some would be taken for others, or be passed over, or all that follows for gone."""
    batch = lying_batch([plain_event(number) for number in range(300)], deltas)
    reading = read([batch], begin, EVENTS_TOPIC)
    records = [record for part in reading for record in part]
    assert [record.offset for record in records] == list(range(begin, 300))
    assert [record.value for record in records] == [plain_event(at).value for at in range(begin, 300)]
    assert reading.next_fetch_offset == 300
    stretch = read_stretch(batch, begin, 9_999)
    assert [(each.offset, each.value) for each in stretch.records] == [
        (record.offset, record.value) for record in records
    ]


def test_what_is_left_of_a_batch_keeps_its_offsets() -> None:
    compacted = bytearray(lying_batch(PLAIN[:3], [2, 5, 9]))
    pack_into(">i", compacted, LAST_DELTA_AT, 11)
    batch = sealed(bytes(compacted))
    reading = read([batch], 3)
    assert offsets(reading) == [each.offset for each in read_stretch(batch, 3, 9_999).records] == [5, 9]
    assert reading.next_fetch_offset == read_stretch(batch, 3, 9_999).next_offset == 12


def test_the_brokers_own_notes_are_passed_over() -> None:
    assert offsets(read([batch_of(1, flags=CONTROL), batch_of(1, 1)])) == [1]
    reading = read([batch_of(1, flags=CONTROL)])
    assert offsets(reading) == []
    assert reading.next_fetch_offset == 1


@pytest.mark.parametrize("topic", ["t", EVENTS_TOPIC])
def test_a_wrong_checksum_is_refused(topic: str) -> None:
    batch = bytearray(log_batch(PLAIN))
    batch[-1] ^= 1
    with pytest.raises(kafka.CorruptRecordException):
        list(read([bytes(batch)], topic=topic))


@pytest.mark.parametrize("left", [0, 60, 61, 100])
def test_a_batch_that_is_cut_off_is_not_there(left: int) -> None:
    hand_out_our_records()
    records = fetcher.MemoryRecords(batch_of(9)[:left])
    assert (records.has_next(), records.size_in_bytes()) == (False, left)


def test_a_consumer_that_is_not_ours_gets_what_it_always_got() -> None:
    hand_out_our_records()
    records = fetcher.MemoryRecords(log_batch(PLAIN))
    theirs = fetcher.PartitionRecords(TopicPartition(EVENTS_TOPIC, 3), records, [], 1, None, None, True, 0)
    found = list(theirs)
    assert [record.offset for record in found] == list(range(1, 30))
    assert found[0].value == PLAIN[1].value
    assert theirs.next_fetch_offset == 30
