"""How many records a poll asks for."""

from datetime import UTC, datetime
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.kafka.poll_size import (
    FIRST_GUESS_BYTES,
    HEADERS_SAMPLED,
    POLL_RECORDS,
    PollSize,
    fitting,
)
from tillstream.kafka.records import Record, bytes_of
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

BATCH_BYTES = 16 * 1024 * 1024
SMALL, LARGE = 300, 80_000


def record(value_bytes: int, header_bytes: int = 0) -> Record:
    return Record("t", 0, 0, None, b"x" * value_bytes, [("h", b"x" * header_bytes)], datetime.now(UTC))


def test_the_first_poll_is_for_the_largest_records_there_may_be() -> None:
    assert PollSize().records(BATCH_BYTES) == BATCH_BYTES // FIRST_GUESS_BYTES


def test_for_small_records_polls_are_soon_as_large_as_they_may_be() -> None:
    size = PollSize()
    for _ in range(4):
        size.learn([record(SMALL)] * size.records(BATCH_BYTES))
    assert size.records(BATCH_BYTES) == POLL_RECORDS


def test_large_records_are_believed_at_once_and_small_ones_step_by_step() -> None:
    size = PollSize()
    for _ in range(4):
        size.learn([record(SMALL)] * 10)
    size.learn([record(LARGE)] * 10)
    assert size.records(BATCH_BYTES) <= BATCH_BYTES // LARGE
    size.learn([record(SMALL)] * 10)
    assert size.records(POLL_RECORDS * SMALL) < POLL_RECORDS


def test_there_is_always_one_more_record_to_ask_for() -> None:
    assert PollSize().records(0) == 1


def test_large_headers_count() -> None:
    polled = [record(1, LARGE)] * HEADERS_SAMPLED
    assert PollSize().learn(polled) == sum(map(bytes_of, polled))


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 500))
@QUICK
def test_what_fits_ends_with_the_record_that_is_enough(sizes: list[int], max_bytes: int) -> None:
    count = fitting([record(size) for size in sizes], max_bytes)
    total = list(accumulate(size + 1 for size in sizes))  # the name of the header
    assert count == len(sizes) or total[count - 1] >= max_bytes
    assert all(size < max_bytes for size in total[: max(count - 1, 0)])
