"""Our reader of record batches, held against aiokafka's own."""

from collections.abc import Sequence
from struct import pack_into
from threading import Event
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import example, given
from hypothesis import strategies as st

from tillstream.kafka.codecs import MOST_BYTES
from tillstream.kafka.log_format import MOST_HEADERS, MOST_RECORDS, RUN_RECORDS, LoggedRecord, read_stretch
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

CODECS = range(5)
CRC_AT, SUMMED_FROM, RECORDS_FROM, LENGTH_AT = 17, 21, 61, 8
BYTES = st.none() | st.binary(max_size=200)


class Written(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    stamp_ms: int


WRITTEN = st.builds(
    Written,
    BYTES,
    BYTES,
    st.lists(st.tuples(st.text(max_size=20), BYTES), max_size=5),
    st.integers(0, 10**13),
)


def batch_of(records: Sequence[Written], base: int = 0, codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 2**27)
    for at, record in enumerate(records):
        builder.append(
            at, timestamp=record.stamp_ms, key=record.key, value=record.value, headers=list(record.headers)
        )
    batch = builder.build()
    pack_into(">q", batch, 0, base)
    return bytes(batch)


def resealed(batch: bytearray) -> bytes:
    """The same under a right checksum."""
    pack_into(">I", batch, CRC_AT, calc_crc32c(bytes(batch[SUMMED_FROM:])))
    return bytes(batch)


def by_aiokafka(batch: bytes) -> list[Any]:
    return [
        LoggedRecord(each.offset, each.key, each.value, tuple(each.headers), each.timestamp)
        for each in DefaultRecordBatch(batch)
    ]


@given(st.lists(WRITTEN, min_size=1, max_size=10), st.integers(0, 2**40), st.sampled_from(CODECS))
@QUICK
def test_it_reads_what_aiokafka_reads(records: list[Written], base: int, codec: int) -> None:
    batch = batch_of(records, base, codec)
    found = read_stretch(batch, base, 99)
    assert found.records == by_aiokafka(batch)
    assert found.next_offset == base + len(records)


@given(st.lists(WRITTEN, min_size=3, max_size=10), st.integers(1, 5), st.integers(0, 12))
@QUICK
def test_it_begins_where_it_is_asked_to_and_leaves_a_batch_that_is_cut_off(
    records: list[Written], cut_bytes: int, begin: int
) -> None:
    whole, cut_off = batch_of(records), batch_of(records, len(records))[:-cut_bytes]
    found = read_stretch(whole + cut_off, begin, 99)
    assert [each.offset for each in found.records] == list(range(begin, len(records)))
    assert found.next_offset == max(begin, len(records))


@pytest.mark.parametrize(("most", "next_offset"), [(0, 7), (2, 9), (3, 10), (4, 11), (6, 13), (9, 13)])
def test_no_more_is_read_than_is_wanted(most: int, next_offset: int) -> None:
    records = [Written(None, b"v", (), 0)] * 3
    found = read_stretch(batch_of(records, 7) + batch_of(records, 10), 7, most)
    assert ([each.offset for each in found.records], found.next_offset) == (
        list(range(7, next_offset)),
        next_offset,
    )


def test_a_name_that_is_no_utf_8_is_made_printable() -> None:
    batch = bytearray(batch_of([Written(b"k", b"v", [("a~~", b"1"), ("ce_id", None)], 0)]))
    batch[:] = batch.replace(b"~~", b"\xff\xfe")
    [record] = read_stretch(resealed(batch), 0, 99).records
    assert record.headers == ((r"a\xff\xfe", b"1"), ("ce_id", None))
    with pytest.raises((UnicodeDecodeError, CorruptRecordException)):
        by_aiokafka(bytes(batch))


def test_the_brokers_own_notes_are_passed_over() -> None:
    batch = bytearray(batch_of([Written(b"k", b"v", (), 0)], 5))
    pack_into(">h", batch, SUMMED_FROM, 0x20)
    assert read_stretch(resealed(batch), 5, 99) == ([], 6)


@given(st.integers(RECORDS_FROM, 80), st.integers(1, 255))
@QUICK
def test_a_wrong_checksum_is_refused(at: int, flip: int) -> None:
    batch = bytearray(batch_of([Written(b"k", b"v" * 40, (), 0)]))
    batch[at] ^= flip
    with pytest.raises(CorruptRecordException):
        read_stretch(bytes(batch), 0, 99)


@given(st.binary(max_size=60), st.integers(1, 2**31 - 1))
@QUICK
def test_rubbish_under_a_right_checksum_is_refused_or_read_but_ends(rubbish: bytes, count: int) -> None:
    batch = bytearray(batch_of([Written(b"k", b"v", (), 0)])[:RECORDS_FROM] + rubbish)
    pack_into(">i", batch, RECORDS_FROM - 4, count)
    pack_into(">i", batch, LENGTH_AT, len(batch) - 12)
    found = read_stretch(resealed(batch), 0, 9)
    assert found.next_offset == 1
    assert len([each for each in found.records if each.problem]) <= 1


@given(st.binary(max_size=60), st.integers(0, 3))
@example(b"\xff" * 9 + b"\x01", 1)  # a negative length
@example(b"\xfe" + b"\xff" * 8 + b"\x01", 1)  # the greatest one
@QUICK
def test_rubbish_before_the_begin_is_passed_over_or_refused_but_ends(rubbish: bytes, begin: int) -> None:
    batch = bytearray(batch_of([Written(b"k", b"v", (), 0)] * 3)[:RECORDS_FROM] + rubbish)
    pack_into(">i", batch, LENGTH_AT, len(batch) - 12)
    found = read_stretch(resealed(batch), begin, 9)
    assert found.next_offset == 3
    assert all(each.offset >= begin for each in found.records)


def test_a_record_before_the_begin_is_not_read() -> None:
    """A batch may have millions, of which the fetch begins behind most."""
    batch = bytearray(batch_of([Written(b"k", b"value", (), 5)] * 3, 7))
    at = batch.index(b"\x0avalue")
    batch[at] = 0x7E  # its value says that it is longer than the batch; its length is right
    assert [each.offset for each in read_stretch(resealed(batch), 8, 9).records] == [8, 9]
    assert [bool(each.problem) for each in read_stretch(resealed(batch), 7, 9).records] == [True]


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a_batch_that_unpacks_to_too_much_is_one_record_and_its_neighbours_are_read(codec: int) -> None:
    good = Written(b"k", b"v", (), 5)
    large = bytearray(batch_of([Written(b"k", b"w" * (MOST_BYTES // 3), (), 6)] * 4, 1, codec))
    pack_into(">q", large, 0, 1)
    data = batch_of([good]) + bytes(large) + batch_of([good], 5)
    found = read_stretch(data, 0, 9)
    assert [each.offset for each in found.records] == [0, 4, 5]
    assert [bool(each.problem) for each in found.records] == [False, True, False]
    _, refused, _ = found.records
    assert refused.value == bytes(large[RECORDS_FROM:])
    assert refused.problem is not None
    assert "4 records at the offsets 1 to 4" in refused.problem
    assert f"more than {MOST_BYTES} bytes" in refused.problem
    assert read_stretch(data, 3, 9) == (found.records[1:], 6), "as when it goes on behind a part of it"


def test_what_cannot_be_read_any_further_is_one_record_behind_those_that_can() -> None:
    batch = bytearray(batch_of([Written(b"k", b"value", (), 5)] * 3, 7))
    at = batch.rindex(b"\x0avalue")
    batch[at] = 0x7E  # its value says that it is longer than the batch
    found = read_stretch(resealed(batch), 7, 9)
    assert [(each.offset, each.value) for each in found.records] == [
        (7, b"value"),
        (8, b"value"),
        (9, bytes(batch[RECORDS_FROM:])),
    ]
    assert [bool(each.problem) for each in found.records] == [False, False, True]


@pytest.mark.parametrize("length", [-1, 0, 48])
def test_a_batch_that_is_shorter_than_its_head_is_refused(length: int) -> None:
    batch = bytearray(batch_of([Written(b"k", b"v", (), 0)]))
    pack_into(">i", batch, LENGTH_AT, length)
    with pytest.raises(CorruptRecordException):
        read_stretch(bytes(batch), 0, 99)


def test_what_is_spoilt_behind_others_ends_the_stretch() -> None:
    good = batch_of([Written(b"k", b"v", (), 0)] * 2)
    spoilt = bytearray(batch_of([Written(b"k", b"value", (), 0)], 2))
    spoilt[-3] ^= 1
    found = read_stretch(good + bytes(spoilt), 0, 99)
    assert ([each.offset for each in found.records], found.next_offset) == ([0, 1], 2)
    with pytest.raises(CorruptRecordException):
        read_stretch(good + bytes(spoilt), 2, 99)


def crowded(headers: int, records: int) -> list[Written]:
    """Records with this many headers together, in more than the megabyte in which none are counted."""
    large = Written(None, b"v" * 1024 * 1024, (), 0)
    return [Written(None, b"v", [("a", b"")] * (headers // records), 0)] * records + [large]


@pytest.mark.parametrize("records", [1, RUN_RECORDS - 50])
def test_a_batch_of_more_headers_than_memory_should_hold_is_one_record(records: int) -> None:
    few, many = crowded(MOST_HEADERS, records), crowded(MOST_HEADERS + records, records)
    assert not any(each.problem for each in read_stretch(batch_of(few, 0, 4), 0, 999).records)
    [refused] = read_stretch(batch_of(many, 0, 4), 0, 999).records
    assert f"more than {MOST_HEADERS} headers" in (refused.problem or "")
    assert refused.offset == records


def test_headers_of_a_whole_batch_may_be_more_than_those_of_a_run() -> None:
    runs = crowded(MOST_HEADERS, RUN_RECORDS) + crowded(MOST_HEADERS, RUN_RECORDS)
    assert not any(each.problem for each in read_stretch(batch_of(runs, 0, 4), 0, 999).records)


def test_a_batch_of_more_records_than_any_client_packs_is_one_record() -> None:
    batch = bytearray(batch_of([Written(None, None, (), 0)]))
    pack_into(">i", batch, RECORDS_FROM - 4, MOST_RECORDS + 1)
    pack_into(">I", batch, CRC_AT, calc_crc32c(bytes(batch[SUMMED_FROM:])))
    [refused] = read_stretch(bytes(batch), 0, 9).records
    assert f"more than {MOST_RECORDS} records" in (refused.problem or "")


def test_reading_ends_behind_a_batch_once_it_is_enough() -> None:
    enough = Event()
    data = batch_of([Written(b"k", b"v", (), 0)] * 2) + batch_of([Written(b"k", b"v", (), 0)], 2)
    assert read_stretch(data, 0, 9, enough.is_set).next_offset == 3
    enough.set()
    assert read_stretch(data, 0, 9, enough.is_set).next_offset == 2
