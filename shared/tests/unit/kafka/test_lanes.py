"""Lanes over a broker that does what the test says."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest

from tillstream.errors import BrokerUnavailable, ProducerFull, RecordTooLarge
from tillstream.kafka.lanes import LanePolicy, Lanes
from tillstream.kafka.records import Outgoing, Place
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.unit

SOON_S = 5.0


class FakeBatch:
    """Full after so many records."""

    def __init__(self, limit: int) -> None:
        self.records: list[Outgoing] = []
        self._limit = limit

    def extend(self, records: Sequence[Outgoing], start: int) -> int:
        fitting = records[start : start + self._limit - len(self.records)]
        self.records += fitting
        return len(fitting)


class FakeSender:
    """Keeps logs; `gate` holds every batch back until it is set, `fails` is what happens to the next ones."""

    def __init__(self, *, partitions: int = 1, batch_records: int = 100) -> None:
        self.logs: defaultdict[Place, list[Outgoing]] = defaultdict(list)
        self.batches: list[int] = []
        self.under_way: defaultdict[Place, int] = defaultdict(int)
        self.most_under_way = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails: list[Exception] = []
        self._partitions = partitions
        self._batch_records = batch_records

    async def partition_count(self, topic: str) -> int:
        assert topic == "t"
        return self._partitions

    def new_batch(self, size: int) -> FakeBatch:
        assert size >= 0
        return FakeBatch(self._batch_records)

    async def send(self, batch: FakeBatch, place: Place) -> int:
        self.under_way[place] += 1
        self.most_under_way = max(self.most_under_way, self.under_way[place])
        await self.gate.wait()
        self.under_way[place] -= 1
        if self.fails:
            raise self.fails.pop(0)
        self.batches.append(len(batch.records))
        first = len(self.logs[place])
        self.logs[place] += batch.records
        return first


def records(count: int, size: int = 10) -> list[Outgoing]:
    return [Outgoing("t", b"%d" % number, b"x" * size) for number in range(count)]


async def test_every_record_gets_its_own_answer() -> None:
    sender = FakeSender(partitions=3)
    sent = records(30)
    results = await Lanes(sender, LanePolicy()).publish(sent, SOON_S)
    for record, result in zip(sent, results, strict=True):
        assert result.partition is not None
        assert result.offset is not None
        assert sender.logs[Place("t", result.partition)][result.offset] is record


async def test_callers_of_one_moment_share_a_batch() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy(gather_s=0.05))
    await asyncio.gather(*(lanes.publish(records(2), SOON_S) for _ in range(5)))
    assert sender.batches == [10]


async def test_a_full_batch_does_not_wait_for_more() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy(gather_s=60.0, batch_bytes=1_000))
    results = await lanes.publish(records(10, size=200), SOON_S)
    assert all(result.acknowledged for result in results)


async def test_one_batch_is_under_way_and_the_next_one_fills_meanwhile() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy(gather_s=0.001))
    sender.gate.clear()
    calls = [asyncio.create_task(lanes.publish(records(1), SOON_S))]
    await eventually(lambda: sender.under_way[Place("t", 0)] == 1)
    calls += [asyncio.create_task(lanes.publish(records(1), SOON_S)) for _ in range(9)]
    await eventually(lambda: lanes.waiting_records == 10)
    sender.gate.set()
    await asyncio.gather(*calls)
    assert (sender.batches, sender.most_under_way) == ([1, 9], 1)


async def test_a_slow_place_holds_up_no_other() -> None:
    sender = FakeSender(partitions=12)
    lanes = Lanes(sender, LanePolicy())
    await lanes.publish(records(24), SOON_S)
    sender.gate.clear()
    slow = asyncio.create_task(lanes.publish([Outgoing("t", b"1", b"x")], SOON_S))
    await eventually(lambda: any(sender.under_way.values()))
    sender.gate.set()
    assert (await lanes.publish([Outgoing("t", b"2", b"x")], SOON_S))[0].acknowledged
    await slow


async def test_a_batch_that_fails_fails_only_its_own_records() -> None:
    sender = FakeSender(batch_records=3)
    sender.fails = [BrokerUnavailable("no leader")]
    results = await Lanes(sender, LanePolicy()).publish(records(6), SOON_S)
    assert [result.acknowledged for result in results] == [False] * 3 + [True] * 3
    assert isinstance(results[0].error, BrokerUnavailable)


async def test_a_broker_that_says_nothing_ends_in_unknown_within_the_deadline() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy())
    sender.gate.clear()
    results = await lanes.publish(records(3), 0.05)
    assert all(isinstance(result.error, BrokerUnavailable) for result in results)
    sender.gate.set()
    await eventually(lambda: lanes.waiting_records == 0)


async def test_a_topic_that_nobody_knows_is_named_and_nothing_waits_for_it() -> None:
    class Unknown(FakeSender):
        async def partition_count(self, topic: str) -> int:
            await asyncio.Event().wait()
            raise AssertionError(topic)

    lanes = Lanes(Unknown(), LanePolicy())
    results = await lanes.publish(records(3), 0.05)
    assert {str(result.error) for result in results} == {"Kafka named no partition of t within 0.05 s."}
    assert (lanes.waiting_records, lanes.waiting_bytes) == (0, 0)


async def test_what_a_caller_gave_up_before_it_was_under_way_is_never_sent() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy(gather_s=0.001))
    sender.gate.clear()
    first = asyncio.create_task(lanes.publish(records(1), SOON_S))
    await eventually(lambda: sender.under_way[Place("t", 0)] == 1)
    given_up = await lanes.publish(records(5), 0.02)
    assert not any(result.acknowledged for result in given_up)
    sender.gate.set()
    assert (await first)[0].acknowledged
    await eventually(lambda: (lanes.waiting_records, lanes.waiting_bytes) == (0, 0))
    assert sender.batches == [1]


@pytest.mark.parametrize("policy", [LanePolicy(max_records=10), LanePolicy(max_bytes=1_000)])
async def test_too_much_is_refused_by_name_and_nothing_of_it_sent(policy: LanePolicy) -> None:
    sender = FakeSender()
    lanes = Lanes(sender, policy)
    sender.gate.clear()
    fits = asyncio.create_task(lanes.publish(records(10, size=50), SOON_S))
    await eventually(lambda: lanes.waiting_records == 10)
    with pytest.raises(ProducerFull):
        await lanes.publish(records(10, size=50), SOON_S)
    sender.gate.set()
    assert all(result.acknowledged for result in await fits)
    assert len(sender.logs[Place("t", 0)]) == 10
    assert (lanes.waiting_records, lanes.waiting_bytes) == (0, 0)
    assert all(result.acknowledged for result in await lanes.publish(records(10, size=50), SOON_S))


async def test_an_oversized_record_is_answered_without_asking_the_broker() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy(max_record_bytes=100))
    results = await lanes.publish([*records(1), *records(1, size=200)], SOON_S)
    assert [type(result.error) for result in results] == [type(None), RecordTooLarge]
    assert lanes.waiting_bytes == 0


async def test_a_bug_reaches_every_caller_and_the_lane_goes_on() -> None:
    sender = FakeSender()
    sender.fails = [ZeroDivisionError("planted")]
    lanes = Lanes(sender, LanePolicy())
    with pytest.raises(ZeroDivisionError):
        await lanes.publish(records(3), SOON_S)
    assert lanes.waiting_records == 0
    assert all(result.acknowledged for result in await lanes.publish(records(3), SOON_S))


async def test_a_caller_that_is_cancelled_leaves_no_trace() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy())
    sender.gate.clear()
    call = asyncio.create_task(lanes.publish(records(3), SOON_S))
    await eventually(lambda: lanes.waiting_records == 3)
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()
    sender.gate.set()
    await eventually(lambda: lanes.waiting_records == 0)


async def test_closing_finishes_what_is_under_way_and_refuses_what_is_new() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy())
    sender.gate.clear()
    call = asyncio.create_task(lanes.publish(records(3), SOON_S))
    await eventually(lambda: any(sender.under_way.values()))
    closing = asyncio.create_task(lanes.close(SOON_S))
    sender.gate.set()
    await closing
    assert all(result.acknowledged for result in await call)
    with pytest.raises(BrokerUnavailable):
        await lanes.publish(records(1), SOON_S)


async def test_closing_gives_up_on_a_silent_broker() -> None:
    sender = FakeSender()
    lanes = Lanes(sender, LanePolicy())
    sender.gate.clear()
    call = asyncio.create_task(lanes.publish(records(3), SOON_S))
    await eventually(lambda: any(sender.under_way.values()))
    await lanes.close(0.01)
    assert all(isinstance(result.error, BrokerUnavailable) for result in await call)
    assert (lanes.waiting_records, lanes.waiting_bytes) == (0, 0)
