"""Versions compare as bytes the way their parts compare."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.messages import microseconds, pack_version
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import SENTENCES, Reason
from tillstream.db import tables
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(
    datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001 - Hypothesis adds the zone
) | st.sampled_from([datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)])  # fmt: skip


class Parts(NamedTuple):
    """What a version is made of, in the order in which it is compared."""

    at: datetime
    accepted_at: datetime
    position: int
    message_id: UUID


PARTS = st.builds(
    Parts, MOMENTS, MOMENTS, st.integers(0, 3) | st.integers(0, 2**63 - 1), st.uuids() | st.just(UUID(int=0))
)


@QUICK
@given(first=PARTS, second=PARTS, shared=st.integers(0, 4))
def test_versions_sort_as_their_parts_do(first: Parts, second: Parts, shared: int) -> None:
    tied = Parts(*first[:shared], *second[shared:])  # type: ignore[arg-type]
    versions = [pack_version(*first), pack_version(*tied)]
    assert (versions[0] < versions[1], versions[0] == versions[1]) == (first < tied, first == tied)


@QUICK
@given(moment=MOMENTS)
def test_microseconds_are_exact(moment: datetime) -> None:
    assert EPOCH + timedelta(microseconds=microseconds(moment)) == moment


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
    assert len(set(SENTENCES.values())) == len(Reason)
    assert [text for text in SENTENCES.values() if not (text[0].isupper() and text.endswith("."))] == []


def test_outcomes_are_those_that_the_tables_know() -> None:
    assert {*tables.ACCEPTED_OUTCOMES, "parked", "quarantined", "duplicate"} == set(OutcomeKind)
