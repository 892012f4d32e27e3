"""How much a poll asks for, and what is kept of what it brought."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.kafka.log_columns import Block
from tillstream.kafka.poll_size import MOST_PARTS, POLL_RECORDS, PollSize, fitting, left_behind, merged
from tillstream.kafka.records import HEADER_OBJECT_BYTES, Place, Record, bytes_of
from tillstream.testing.log_batches import blocks_of, log_batch, plain_event
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

BATCH_BYTES, BATCH_RECORDS = 16 * 1024 * 1024, 10_000
SMALL, LARGE = 300, 80_000


def record(value_bytes: int, header_bytes: int = 0) -> Record:
    return Record("t", 0, 0, None, b"x" * value_bytes, [("h", b"x" * header_bytes)], datetime.now(UTC))


def block(count: int) -> Block:
    [found] = blocks_of(
        log_batch([plain_event(number) for number in range(count)]), Place("shop.events.v1", 0)
    )
    assert found is not None
    return found


def test_the_first_poll_is_for_one_part() -> None:
    assert PollSize().parts(BATCH_RECORDS, BATCH_BYTES) == 1


def test_of_small_parts_several_come_at_once() -> None:
    size = PollSize()
    for _ in range(4):
        size.learn([[record(SMALL)] * 25] * size.parts(BATCH_RECORDS, BATCH_BYTES))
    assert size.parts(BATCH_RECORDS, BATCH_BYTES) == POLL_RECORDS // 25
    for _ in range(4):
        size.learn([[record(SMALL)]])
    assert size.parts(BATCH_RECORDS, BATCH_BYTES) == MOST_PARTS


def test_large_parts_are_believed_at_once_and_small_ones_step_by_step() -> None:
    size = PollSize()
    for _ in range(4):
        size.learn([[record(SMALL)]] * 10)
    size.learn([[record(LARGE)]] * 10)
    assert size.parts(BATCH_RECORDS, 5 * LARGE) <= 5
    size.learn([[record(SMALL)]] * 10)
    assert size.parts(BATCH_RECORDS, POLL_RECORDS * SMALL) < POLL_RECORDS


def test_no_block_is_asked_for_that_would_be_more_than_what_is_left() -> None:
    size = PollSize()
    large = block(400)
    assert size.learn([large]) == large.size
    assert (size.parts(400, BATCH_BYTES), size.parts(399, BATCH_BYTES)) == (1, 0)
    assert (size.parts(400, large.size), size.parts(400, large.size - 1)) == (1, 0)


def test_large_headers_and_keys_count() -> None:
    polled = [record(1, LARGE), record(1)._replace(key=b"k" * LARGE), record(1)._replace(value=None)]
    assert PollSize().learn([polled]) == sum(map(bytes_of, polled))


def test_headers_without_a_byte_of_text_count() -> None:
    polled = [record(1)._replace(headers=[("", b"")] * 1_000)] * 3
    assert PollSize().learn([polled]) == sum(map(bytes_of, polled)) > 3 * 1_000 * HEADER_OBJECT_BYTES


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 3_000), st.integers(1, 30))
@QUICK
def test_of_a_first_part_the_record_that_is_enough_is_the_last_one(
    sizes: list[int], max_bytes: int, max_records: int
) -> None:
    [kept] = fitting([[record(size) for size in sizes]], max_records, max_bytes)
    count, total = (
        len(kept),
        list(accumulate(size + HEADER_OBJECT_BYTES + 1 for size in sizes)),
    )  # and the header's name
    assert count in {len(sizes), max_records} or total[count - 1] >= max_bytes
    assert count <= max_records
    assert all(size < max_bytes for size in total[: count - 1])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 40), st.integers(1, 3_000))
@QUICK
def test_whole_parts_are_kept_as_long_as_they_fit(
    counts: list[int], max_records: int, max_bytes: int
) -> None:
    parts: Sequence[Sequence[Record]] = [[record(9)] * count for count in counts]
    kept = fitting(parts, max_records, max_bytes)
    records = sum(map(len, kept))
    assert records <= max_records
    if kept != parts[: len(kept)]:
        assert len(kept) == 1
    elif len(kept) < len(parts):
        assert (
            records + len(parts[len(kept)]) > max_records
            or (records + len(parts[len(kept)])) * bytes_of(record(9)) > max_bytes
        )


def test_small_batches_are_read_together_and_blocks_alone() -> None:
    one, two, large = [record(1)], [record(2)] * 2, block(30)
    assert merged([one, two, large, large, two]) == [one + two, large, large, two]
    assert merged([]) == []


def at(partition: int, offset: int) -> Record:
    return record(9)._replace(partition=partition, offset=offset)


def test_each_place_goes_on_with_the_first_record_that_was_not_kept() -> None:
    parts = [[at(0, 5), at(1, 7), at(0, 6), at(1, 8)], [at(2, 1)], [at(0, 7)]]
    assert left_behind(parts, parts) == {}
    assert left_behind(parts, parts[:2]) == {Place("t", 0): 7}
    assert left_behind(parts, [parts[0][:2]]) == {Place("t", 0): 6, Place("t", 1): 8, Place("t", 2): 1}


def test_of_a_part_that_was_dropped_each_place_goes_on() -> None:
    """Lists of several places are one part once they are merged."""
    parts = merged([[at(0, 5)], block(30), [at(0, 6), at(0, 7)], [at(1, 8), at(1, 9)], [at(2, 1)]])
    assert len(parts) == 3
    back = left_behind(parts, parts[:1])
    assert back == {Place("shop.events.v1", 0): 0, Place("t", 0): 6, Place("t", 1): 8, Place("t", 2): 1}
