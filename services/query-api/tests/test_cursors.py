"""Cursors come back as what they were made from, and nothing else does."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.cursors import (
    MAX_CURSOR_CHARS,
    encode_cursor,
    jobs_key,
    orders_key,
    parked_key,
    quarantine_key,
)
from query_api.failures import BadParameter
from tillstream.contracts.rules import MAX_ID

pytestmark = pytest.mark.unit

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive by contract
IDS = st.integers(1, MAX_ID)


@given(MOMENTS, IDS, st.uuids())
def test_a_cursor_comes_back_as_its_key(moment: datetime, number: int, job_id: UUID) -> None:
    orders, jobs, quarantine, parked = (
        encode_cursor(("orders", moment, number)),
        encode_cursor(("jobs", moment, job_id)),
        encode_cursor(("quarantine", number)),
        encode_cursor(("parked", "product", number, job_id)),
    )
    assert orders_key(orders) == ("orders", moment, number)
    assert jobs_key(jobs) == ("jobs", moment, job_id)
    assert quarantine_key(quarantine) == ("quarantine", number)
    assert parked_key(parked) == ("parked", "product", number, job_id)
    assert max(map(len, (orders, jobs, quarantine, parked))) <= MAX_CURSOR_CHARS


@given(MOMENTS, IDS)
def test_a_cursor_of_one_list_is_refused_by_the_others(moment: datetime, number: int) -> None:
    for decode in (jobs_key, quarantine_key, parked_key):
        with pytest.raises(BadParameter, match="cursor"):
            decode(encode_cursor(("orders", moment, number)))


@given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True))
def test_whatever_else_is_sent_is_refused_and_nothing_breaks(text: str) -> None:
    for decode in (orders_key, jobs_key, quarantine_key, parked_key):
        with pytest.raises(BadParameter, match="cursor"):
            decode(text)


@given(MOMENTS, IDS, st.integers(0, 200), st.characters(codec="ascii"))
def test_a_cursor_with_one_other_character_is_refused_or_stands_for_another_key(
    moment: datetime, number: int, place: int, character: str
) -> None:
    cursor = encode_cursor(("orders", moment, number))
    at = place % len(cursor)
    changed = cursor[:at] + character + cursor[at + 1 :]
    try:
        key = orders_key(changed)
    except BadParameter:
        return
    assert encode_cursor(key) == changed
