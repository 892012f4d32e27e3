"""What the reject-share alarm counts, held against a plain list of everything that was ever seen."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_worker.reject_alarm import SLICES, AlarmPolicy, RejectAlarm, Weighed
from tillstream.contracts.entities import EVENTS_TOPIC, USERS_TOPIC, Entity
from tillstream.contracts.envelope import headers_for, read_record
from tillstream.contracts.ids import new_id
from tillstream.contracts.messages import Message
from tillstream.contracts.parts import joined
from tillstream.contracts.plain_events import PlainEvent, PlainReader
from tillstream.kafka.records import Place, Record
from tillstream.testing.builders import UTC_ZONE, event_item, user_item
from tillstream.testing.log_batches import block_in, columns_in, plain_event
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

POLICY = AlarmPolicy(share=0.5, records=20)
WINDOW = POLICY.window_records
PLACE = Place(USERS_TOPIC, 3)
GOOD, BROKEN = json.dumps(user_item()).encode(), b"{"
FLAGS = st.lists(st.booleans(), max_size=4 * WINDOW)
CUTS = st.lists(st.integers(1, WINDOW), min_size=1, max_size=20)


def messages(flags: Sequence[bool], begin: int = 0, place: Place = PLACE) -> list[Message]:
    """One per flag, from offset `begin` on; True is a record that breaks its contract."""
    return [
        read_record(
            Record(*place, begin + at, None, BROKEN if broken else GOOD, (), datetime.now(UTC)),
            Entity.USER,
            UTC_ZONE,
        )
        for at, broken in enumerate(flags)
    ]


def batches(flags: Sequence[bool], cuts: Sequence[int]) -> list[list[Message]]:
    """The records, cut into batches of these sizes, again and again."""
    found: list[list[Message]] = []
    at = 0
    while at < len(flags):
        size = cuts[len(found) % len(cuts)]
        found.append(messages(flags[at : at + size], at))
        at += size
    return found


def counted(alarm: RejectAlarm, batch: Sequence[Message | PlainEvent]) -> Weighed:
    """A batch that was committed."""
    weighed = alarm.weigh(batch)
    alarm.count(weighed)
    return weighed


def first_alarm(flags: Sequence[bool]) -> int | None:
    """After how many records too many of the last window were broken: looked up in the plain list."""
    for end in range(WINDOW, len(flags) + 1, POLICY.slice_records):
        if sum(flags[end - WINDOW : end]) > POLICY.share * WINDOW:
            return end
    return None


@given(FLAGS, CUTS)
@QUICK
def test_the_alarm_comes_with_the_record_that_is_too_many_however_batches_are_cut(
    flags: list[bool], cuts: list[int]
) -> None:
    alarm, expected, seen = RejectAlarm(POLICY), first_alarm(flags), 0
    for batch in batches(flags, cuts):
        seen += len(batch)
        stopped = bool(counted(alarm, batch).stop)
        assert stopped == (expected is not None and seen >= expected)
        if stopped:
            return


@given(FLAGS, CUTS, st.lists(st.integers(1, 3 * WINDOW), min_size=1, max_size=20))
@QUICK
def test_what_is_rolled_back_or_comes_again_counts_once(
    flags: list[bool], cuts: list[int], rewinds: list[int]
) -> None:
    """One alarm sees every record once; the other one sees batches that are rolled back, and rewinds of any length."""
    plain, vexed, seen = RejectAlarm(POLICY), RejectAlarm(POLICY), 0
    for turn, batch in enumerate(batches(flags, cuts)):
        begin = max(0, seen - rewinds[turn % len(rewinds)])
        seen += len(batch)
        vexed.weigh(batch)
        first = counted(plain, batch).stop
        counted(vexed, messages(flags[begin : seen - len(batch)], begin))
        assert counted(vexed, messages(flags[begin:seen], begin)).stop == first


@given(FLAGS, FLAGS)
@QUICK
def test_partitions_are_counted_apart(ones: list[bool], others: list[bool]) -> None:
    other = Place(USERS_TOPIC, 4)
    apart = RejectAlarm(POLICY)
    expected = apart.weigh(messages(ones)).stop | apart.weigh(messages(others, place=other)).stop
    together = [*messages(ones[:7]), *messages(others, place=other), *messages(ones[7:], 7)]
    assert RejectAlarm(POLICY).weigh(together).stop == expected


@given(st.integers(0, 3 * WINDOW))
@QUICK
def test_after_a_stop_the_count_begins_anew(records: int) -> None:
    alarm = RejectAlarm(POLICY)
    assert counted(alarm, messages([True] * WINDOW)).stop.keys() == {PLACE}
    assert bool(counted(alarm, messages([True] * records, WINDOW)).stop) == (records >= WINDOW)


def test_a_stop_that_was_rolled_back_is_asked_for_again() -> None:
    alarm = RejectAlarm(POLICY)
    batch = messages([True] * WINDOW)
    assert alarm.weigh(batch).stop == alarm.weigh(batch).stop != {}


@pytest.mark.parametrize(("hole", "stops"), [(WINDOW - 1, True), (WINDOW, False)])
def test_what_another_worker_has_overtaken_by_a_window_is_forgotten(hole: int, *, stops: bool) -> None:
    alarm, half = RejectAlarm(POLICY), [True] * (WINDOW // 2)
    counted(alarm, messages(half))
    assert bool(counted(alarm, messages(half, len(half) + hole)).stop) == stops


def test_less_than_a_window_is_never_too_much() -> None:
    assert counted(RejectAlarm(POLICY), messages([True] * (WINDOW - 1))).stop == {}


def test_exactly_the_share_is_not_too_much() -> None:
    alarm = RejectAlarm(POLICY)
    assert counted(alarm, messages([True, False] * WINDOW)).stop == {}
    assert counted(alarm, messages([True] * POLICY.slice_records, 2 * WINDOW)).stop != {}


def test_a_share_of_one_switches_it_off() -> None:
    alarm = RejectAlarm(AlarmPolicy(share=1.0, records=20))
    assert counted(alarm, messages([True] * 10 * WINDOW)).stop == {}


def test_the_window_is_rounded_up() -> None:
    assert AlarmPolicy(records=1_001).window_records == 1_001 + SLICES - 1


def test_the_reason_says_how_many_of_how_many() -> None:
    stop = counted(RejectAlarm(POLICY), messages([True] * WINDOW)).stop
    assert stop[PLACE] == "20 of 20 records in a row broke their contract; more than 50% is too many."


@given(st.lists(st.booleans(), min_size=WINDOW, max_size=3 * WINDOW))
@QUICK
def test_plain_events_count_as_good_ones_among_broken_ones(flags: list[bool]) -> None:
    """They are told apart and counted in another way than messages."""
    place = Place(EVENTS_TOPIC, 0)
    accepted_at = datetime.now(UTC)
    records = []
    for at, broken in enumerate(flags):
        event_id = new_id()
        value = BROKEN if broken else json.dumps(event_item(event_id=str(event_id))).encode()
        headers = headers_for(
            message_id=event_id, entity=Entity.EVENT, source="shop", accepted_at=accepted_at, position=0
        )
        records.append(Record(*place, at, None, value, headers, accepted_at))
    read = PlainReader(UTC_ZONE).read(records)
    assert [isinstance(each, PlainEvent) for each in read] == [not broken for broken in flags]
    expected = first_alarm(flags)
    assert bool(RejectAlarm(POLICY).weigh(read).stop) == (expected is not None)


@given(st.integers(1, 3 * WINDOW), st.integers(0, WINDOW), st.lists(st.booleans(), max_size=WINDOW))
@QUICK
def test_events_in_columns_count_as_the_same_events_one_by_one(
    count: int, counted_before: int, after: list[bool]
) -> None:
    """Also where some of them were counted before, and where broken ones follow."""
    place = Place(EVENTS_TOPIC, 0)
    columns = columns_in(block_in([plain_event(number) for number in range(count)], place))
    alarms = RejectAlarm(POLICY), RejectAlarm(POLICY)
    for alarm, read in zip(alarms, (columns, list(columns)), strict=True):
        counted(alarm, list(columns)[:counted_before])
        counted(alarm, joined([read, messages(after, count, place)]))
    assert alarms[0]._windows == alarms[1]._windows
