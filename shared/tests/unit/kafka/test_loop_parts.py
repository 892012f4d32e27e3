"""The parts of the consumer loop that need no server."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import override

import pytest

from tillstream.contracts.parts import joined
from tillstream.errors import BrokerUnavailable, DatabaseUnavailable, Misconfigured, Stalled
from tillstream.kafka.batches import Doubt
from tillstream.kafka.fence import Move, Position
from tillstream.kafka.holdings import Holdings
from tillstream.kafka.rebalance import Rebalance
from tillstream.kafka.records import Place, Record
from tillstream.kafka.stall import OTHERS_ANSWERED_S, SINGLE_PLACE_FACTOR, StallWatch
from tillstream.kafka.steps import BatchResult
from tillstream.kafka.waiting import Backoff, Outages
from tillstream.kafka.watch import LoopWatch
from tillstream.testing.log_batches import block_in, plain_event
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.unit

ONE, TWO = Place("t", 1), Place("t", 2)
AT = datetime(2024, 1, 20, tzinfo=UTC)


@dataclass
class StillClock:
    """Moves only when told."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return AT

    def monotonic(self) -> float:
        return self.seconds


def record(place: Place, offset: int, headers: list[tuple[str, bytes]] | None = None) -> Record:
    return Record(*place, offset, b"k", b"v", headers or [], AT)


def held(**next_offsets: int) -> Holdings:
    holdings = Holdings()
    positions = {Place("t", int(name[1:])): Position(4, offset) for name, offset in next_offsets.items()}
    holdings.take(positions, dict.fromkeys(positions, 0))
    return holdings


def test_what_comes_next_is_expected_and_moves_the_fence() -> None:
    holdings = held(p1=5, p2=0)
    fetched = [record(ONE, 5), record(ONE, 6, [("ce_id", b"id")]), record(TWO, 0)]
    records, again = holdings.expected(fetched)
    assert (records, again) == (fetched, set())
    moves = holdings.moves(records)
    assert moves == {ONE: Move(4, 5, 7, "id", AT), TWO: Move(4, 0, 1, None, AT)}
    holdings.moved(moves)
    assert holdings.next_offsets == {ONE: 7, TWO: 1}
    assert holdings.stored_at(ONE) == AT


def test_a_batch_that_cannot_be_read_is_no_hole() -> None:
    """It has one record, at its last offset; else each such batch would be fetched twice."""
    holdings = held(p1=5)
    packed = record(ONE, 9)._replace(problem="It is too large.", first_offset=6)
    fetched = [record(ONE, 5), packed, record(ONE, 10)]
    assert holdings.expected(fetched) == (fetched, set())
    records, again = holdings.expected([*fetched, record(ONE, 12)])
    assert (list(records), again) == (fetched, {ONE})
    behind_a_hole = packed._replace(first_offset=7)
    assert holdings.expected([record(ONE, 5), behind_a_hole]) == ([record(ONE, 5)], {ONE})


def test_what_was_applied_before_is_passed_over() -> None:
    holdings = held(p1=5)
    assert holdings.expected([record(ONE, at) for at in range(3, 7)])[0] == [record(ONE, 5), record(ONE, 6)]


def test_what_is_not_held_or_stopped_is_passed_over() -> None:
    holdings = held(p1=0, p2=0)
    holdings.set_stopped({TWO})
    assert holdings.expected([record(Place("t", 9), 0), record(TWO, 0)]) == ([], set())
    assert holdings.running == {ONE}
    assert holdings.set_stopped(set()) == (set(), {TWO})


def test_a_hole_is_read_again_and_believed_the_second_time() -> None:
    holdings = held(p1=5)
    assert holdings.expected([record(ONE, 8)]) == ([], {ONE})
    assert holdings.expected([record(ONE, 8)]) == ([record(ONE, 8)], set())


def test_a_hole_within_a_fetch_keeps_what_came_before_it() -> None:
    holdings = held(p1=5)
    fetched = [record(ONE, 5), record(TWO, 0), record(ONE, 9)]
    assert holdings.expected(fetched) == ([record(ONE, 5)], {ONE})


def test_a_hole_between_neighbours_is_read_again_and_the_next_one_anew() -> None:
    holdings = held(p1=0)
    fetched = [record(ONE, at) for at in (0, 1, 4, 5, 8)]
    assert holdings.expected(fetched) == (fetched[:2], {ONE})
    holdings.moved(holdings.moves(fetched[:2]))
    assert holdings.expected(fetched[2:]) == (fetched[2:4], {ONE})
    holdings.moved(holdings.moves(fetched[2:4]))
    assert holdings.expected(fetched[4:]) == (fetched[4:], set())


def test_parts_of_one_place_follow_each_other_in_columns_or_not() -> None:
    block = block_in([plain_event(number) for number in range(3)], ONE, 1)
    fetched = joined([[record(ONE, 0)], block, [record(ONE, 4), record(TWO, 0)]])
    records, again = held(p1=0, p2=0).expected(fetched)
    assert records is fetched, "or the parts would be read again"
    assert not again
    assert held(p1=0, p2=0).moves(records)[ONE].next == 5
    records, again = held(p1=2, p2=0).expected(fetched)
    assert [(each.partition, each.offset) for each in records] == [(1, 2), (1, 3), (1, 4), (2, 0)]
    assert not again


def test_a_hole_before_a_block_is_read_again() -> None:
    block = block_in([plain_event(number) for number in range(3)], ONE, 2)
    holdings = held(p1=0)
    fetched = joined([[record(ONE, 0)], block])
    assert holdings.expected(fetched) == ([record(ONE, 0)], {ONE})
    holdings.moved(holdings.moves([record(ONE, 0)]))
    records, again = holdings.expected(block)
    assert ([each.offset for each in records], again) == ([2, 3, 4], set())


def last_seen(at: Position, start: int = 0) -> Holdings:
    """Just taken over, where the row says this."""
    holdings = Holdings()
    holdings.take({ONE: at}, {ONE: start})
    return holdings


KNOWN = Position(4, 5, "here", "id", AT)
ID: list[tuple[str, bytes]] = [("ce_id", b"id")]


def test_the_last_record_is_seen_once_and_not_applied_again() -> None:
    holdings = last_seen(KNOWN)
    assert holdings.seek_offset(ONE) == 4
    assert holdings.expected([record(ONE, 4, ID), record(ONE, 5)]) == ([record(ONE, 5)], set())
    assert holdings.seek_offset(ONE) == 5


@pytest.mark.parametrize(("known", "headers"), [("id", ID), ("id", []), (None, ID), (None, [])])
def test_an_id_that_one_side_does_not_have_is_not_compared(
    known: str | None, headers: list[tuple[str, bytes]]
) -> None:
    at = KNOWN._replace(last_record_id=known)
    assert last_seen(at).expected([record(ONE, 4, headers)]) == ([], set())


@pytest.mark.parametrize(
    "other",
    [
        record(ONE, 4, [("ce_id", b"another")]),
        record(ONE, 4, ID)._replace(timestamp=AT + timedelta(milliseconds=1)),
        record(ONE, 4)._replace(timestamp=AT - timedelta(days=1)),
    ],
)
def test_another_record_in_its_place_is_refused_with_the_command(other: Record) -> None:
    with pytest.raises(
        Misconfigured, match=r"written anew.* `tillstream partitions accept t 1 --from earliest`"
    ):
        last_seen(KNOWN).expected([record(ONE, 3, ID), other, record(ONE, 5)])


@pytest.mark.parametrize(
    ("at", "start"),
    [(KNOWN, 5), (KNOWN._replace(last_record_at=None), 0), (KNOWN._replace(next_offset=0), 0)],
)
def test_what_is_not_there_to_be_seen_is_not_sought(at: Position, start: int) -> None:
    assert last_seen(at, start).seek_offset(ONE) == at.next_offset


def test_a_transactions_end_may_be_the_last_thing_applied() -> None:
    holdings = last_seen(KNOWN)
    assert holdings.moves_over({ONE: (4, 5)}) == {}
    assert holdings.moves_over({ONE: (4, 6)}) == {ONE: Move(4, 5, 6)}
    assert holdings.expected([record(ONE, 5)]) == ([record(ONE, 5)], set())
    assert holdings.seek_offset(ONE) == 5


def test_what_is_still_to_be_applied_is_not_moved_over() -> None:
    holdings = last_seen(KNOWN)
    assert holdings.moves_over({ONE: (6, 7), TWO: (0, 1)}) == {}


def test_a_stopped_place_is_seen_once_it_is_resumed() -> None:
    holdings = last_seen(KNOWN)
    holdings.set_stopped({ONE})
    assert holdings.expected([record(ONE, 4), record(ONE, 5)]) == ([], set())
    holdings.set_stopped(set())
    assert holdings.seek_offset(ONE) == 4


def test_a_hole_before_the_last_record_was_seen_does_not_pass_it_over() -> None:
    holdings = last_seen(KNOWN)
    assert holdings.expected([record(ONE, 8)]) == ([], {ONE})
    assert holdings.seek_offset(ONE) == 4
    with pytest.raises(Misconfigured):
        holdings.expected([record(ONE, 4, [("ce_id", b"another")]), record(ONE, 8)])


def test_a_hole_that_is_believed_ends_the_wait_for_the_last_record() -> None:
    holdings = last_seen(KNOWN)
    for _ in range(2):
        records, _ = holdings.expected([record(ONE, 8)])
    holdings.moved(holdings.moves(records))
    assert holdings.seek_offset(ONE) == 9


def test_what_was_lost_is_not_waited_for() -> None:
    holdings = last_seen(KNOWN)
    holdings.lose({ONE})
    assert holdings.expected([record(ONE, 4)]) == ([], set())


def test_a_header_without_a_value_is_no_id() -> None:
    holdings = held(p1=0)
    no_value: list[tuple[str, bytes]] = [("ce_id", None)]  # type: ignore[list-item] # a foreign producer may send it
    assert holdings.moves([record(ONE, 0, no_value)])[ONE].last_record_id is None


@pytest.mark.parametrize(
    ("now", "committed"),
    [
        ({ONE: Position(4, 7), TWO: Position(4, 3)}, True),
        ({ONE: Position(4, 5), TWO: Position(4, 0)}, False),
        ({ONE: Position(5, 7), TWO: Position(4, 3)}, True),
        ({ONE: Position(5, 9), TWO: Position(4, 0)}, False),
        ({ONE: Position(5, 5), TWO: Position(6, 9)}, False),
        ({ONE: Position(5, 9), TWO: Position(6, 9)}, None),
        ({}, None),
    ],
)
def test_the_fence_rows_decide_what_became_of_a_commit(
    now: dict[Place, Position], committed: bool | None
) -> None:
    moves = {ONE: Move(4, 5, 7), TWO: Move(4, 0, 3)}
    assert Doubt(moves, BatchResult()).was_committed(now) is committed


async def test_a_rebalance_waits_for_the_loop_to_lay_its_work_down() -> None:
    rebalance = Rebalance(patience_s=5.0)
    revoking = asyncio.create_task(rebalance.revoked(frozenset({ONE})))
    await eventually(lambda: rebalance.revoking)
    assert not revoking.done()
    rebalance.laid_down()
    await revoking
    rebalance.assigned(frozenset({TWO}))
    assert (rebalance.revoking, rebalance.generation) == (False, 1)


async def test_a_rebalance_does_not_wait_for_ever() -> None:
    await asyncio.wait_for(Rebalance(patience_s=0.01).revoked(frozenset({ONE})), 5.0)


async def test_a_rebalance_does_not_wait_for_a_loop_that_holds_nothing() -> None:
    rebalance = Rebalance(patience_s=60.0)
    rebalance.parked = True
    await asyncio.wait_for(rebalance.revoked(frozenset({ONE})), 5.0)


def test_waits_grow_to_a_cap_and_differ() -> None:
    backoff = Backoff(first_s=0.1, cap_s=5.0)
    assert all(0.05 <= backoff.wait_s(1) <= 0.1 for _ in range(20))
    assert all(2.5 <= backoff.wait_s(1_000) <= 5.0 for _ in range(20))
    assert len({backoff.wait_s(9) for _ in range(20)}) > 1


@dataclass
class Told(LoopWatch):
    states: list[str] = field(default_factory=list)

    @override
    def waiting(self, server: str, problem: str) -> None:
        self.states.append(f"{server} away")

    @override
    def reached(self, server: str) -> None:
        self.states.append(f"{server} back")


def test_each_server_is_said_to_be_back_once() -> None:
    told = Told()
    outages = Outages(Backoff(), told, StillClock())
    outages.reached("postgres")
    outages.failed(DatabaseUnavailable("no"))
    outages.failed(BrokerUnavailable("no"))
    for _ in range(2):
        outages.reached("postgres")
        outages.reached("kafka")
    assert told.states == ["postgres away", "kafka away", "postgres back", "kafka back"]


def test_waits_begin_anew_after_a_success_or_a_quiet_time() -> None:
    clock = StillClock()
    outages = Outages(Backoff(first_s=1.0, cap_s=64.0), LoopWatch(), clock)
    longest = max(outages.failed(DatabaseUnavailable("no")) for _ in range(7))
    assert longest > 8.0
    outages.succeeded()
    assert outages.failed(DatabaseUnavailable("no")) <= 1.0
    outages.failed(DatabaseUnavailable("no"))
    clock.seconds += 1_000.0
    assert outages.failed(DatabaseUnavailable("no")) <= 1.0


def watched(clock: StillClock) -> StallWatch:
    return StallWatch(clock, lagging_s=60.0, turn_s=180.0)


def test_lag_without_any_movement_is_a_stall() -> None:
    clock = StillClock()
    watch = watched(clock)
    watch.measured({ONE: (5, 10), TWO: (3, 3)})
    clock.seconds = 59.0
    watch.measured({ONE: (5, 12), TWO: (3, 3)})
    clock.seconds = 61.0
    with pytest.raises(Stalled):
        watch.measured({ONE: (5, 12), TWO: (3, 3)})


def test_no_lag_is_no_stall() -> None:
    clock = StillClock()
    watch = watched(clock)
    for clock.seconds in (0.0, 100.0, 200.0):
        watch.measured({ONE: (5, 5)})
    clock.seconds = 230.0
    watch.measured({ONE: (5, 6)})


def test_a_place_may_wait_its_turn_but_not_for_ever() -> None:
    clock = StillClock()
    watch = watched(clock)
    for second in range(0, 60 * SINGLE_PLACE_FACTOR + 1, 50):
        clock.seconds = float(second)
        watch.measured({ONE: (second, 10_000), TWO: (3, 4)})
    clock.seconds = 60.0 * SINGLE_PLACE_FACTOR + 1
    with pytest.raises(Stalled, match="t\\[2\\]"):
        watch.measured({ONE: (9_000, 10_000), TWO: (3, 4)})


def test_an_outage_excuses_what_did_not_move() -> None:
    clock = StillClock()
    watch = watched(clock)
    watch.measured({ONE: (5, 10)})
    clock.seconds = 500.0
    watch.excuse()
    watch.measured({ONE: (5, 10)})


async def test_a_turn_that_does_not_end_is_a_stall() -> None:
    clock = StillClock()
    watch = watched(clock)
    guard = asyncio.create_task(watch.guard())
    clock.seconds = 181.0
    with pytest.raises(Stalled):
        await asyncio.wait_for(guard, 10.0)


def test_a_member_without_an_assignment_has_lost_its_group_after_a_while() -> None:
    clock = StillClock()
    stall = StallWatch(clock, lagging_s=60.0, turn_s=180.0)
    assert not stall.lost_its_group(is_settled=False)
    clock.seconds += 59.0
    assert not stall.lost_its_group(is_settled=False)
    clock.seconds += 2.0
    assert stall.lost_its_group(is_settled=False)
    stall.excuse()
    assert not stall.lost_its_group(is_settled=False)
    clock.seconds += 600.0
    assert not stall.lost_its_group(is_settled=True)


async def answers() -> str:
    return "cluster"


async def is_away() -> str:
    raise BrokerUnavailable("away")


async def test_a_client_that_alone_has_no_answer_is_a_stall() -> None:
    clock = StillClock()
    watch = watched(clock)
    await watch.unanswered(answers)
    clock.seconds += OTHERS_ANSWERED_S
    await watch.unanswered(answers)
    clock.seconds += 1.0
    with pytest.raises(Stalled, match="not this process's client"):
        await watch.unanswered(answers)


async def test_an_outage_for_everybody_is_no_stall() -> None:
    clock = StillClock()
    watch = watched(clock)
    for _ in range(100):
        await watch.unanswered(is_away)
        clock.seconds += 10.0
    await watch.unanswered(answers)  # Kafka is back, the client will follow
    clock.seconds += 10.0
    watch.measured({ONE: (3, 3)})
    clock.seconds += 3_600.0
    await watch.unanswered(answers)
