"""Batches that take too long, and what comes after them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.kafka.batch_size import CALM_BATCHES, BatchSize
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

MOST = 5_000


@given(st.integers(1, MOST))
@QUICK
def test_a_batch_that_takes_too_long_is_halved_until_it_does_not(in_time: int) -> None:
    size, attempts = BatchSize(MOST), 0
    while size.records > in_time:
        size.timed_out(size.records)
        attempts += 1
    assert size.records >= in_time // 2
    assert attempts <= MOST.bit_length()


def test_what_counts_is_how_many_there_were_not_how_many_were_allowed() -> None:
    size = BatchSize(MOST)
    size.timed_out(10)
    assert size.records == 5


def test_one_record_is_the_least() -> None:
    size = BatchSize(MOST)
    size.timed_out(1)
    assert size.records == 1


def test_it_grows_back_after_calm_batches_and_never_beyond() -> None:
    size = BatchSize(MOST)
    size.timed_out(MOST)
    for _ in range(CALM_BATCHES - 1):
        size.committed()
    assert size.records == MOST // 2
    for _ in range(3 * CALM_BATCHES):
        size.committed()
    assert size.records == MOST


def test_another_time_out_begins_the_calm_anew() -> None:
    size = BatchSize(MOST)
    size.timed_out(MOST)
    for _ in range(CALM_BATCHES - 1):
        size.committed()
    size.timed_out(MOST // 2)
    size.committed()
    assert size.records == MOST // 4
