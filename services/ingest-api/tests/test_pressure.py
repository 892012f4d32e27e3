"""Back-pressure: who has to wait, for how long, and that others are served meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from ingest_api.drain import DrainRate
from ingest_api.room import Client, Room
from tillstream.http.problems import Problem
from tillstream.kafka.records import Outgoing, PublishResult
from tillstream.observe.metrics import Metrics
from tillstream.testing.builders import event_item, order_item
from tillstream.testing.waiting import eventually

from .conftest import POLICY, Bench, StoppedClock, open_bench, problem

pytestmark = pytest.mark.unit

ROOM_BYTES = 1_000


class Slow:
    """A producer that acknowledges when it is told."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.waiting = 0

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def probe(self) -> None: ...

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        assert deadline_s > 0
        self.waiting += len(records)
        await self.go.wait()
        return [PublishResult(0, offset) for offset in range(len(records))]


@asynccontextmanager
async def crowded(**changes: int) -> AsyncIterator[tuple[Bench, Slow]]:
    """A door that holds ROOM_BYTES, on a producer that answers nobody yet."""
    producer = Slow()
    policy = replace(POLICY, max_bytes_in_hand=ROOM_BYTES, **changes)
    async with open_bench(policy, producer=producer) as bench:
        yield bench, producer
        producer.go.set()


def body(size: int, user_id: int = 1) -> bytes:
    written = b'{"user_id":%d,"event_type":"purchase","event_timestamp":"2024-06-01T12:00:00Z"}' % user_id
    return written + b" " * (size - len(written))


async def test_under_pressure_the_client_that_takes_more_than_its_part_waits_and_others_are_served() -> None:
    async with crowded() as (bench, producer):
        greedy = [asyncio.create_task(bench.post(body(260), x_source="greedy")) for _ in range(2)]
        await eventually(lambda: producer.waiting == 2)
        refused = problem(await bench.post(body(260), x_source="greedy"), 429)
        assert "under pressure" in refused["detail"]
        modest = asyncio.create_task(bench.post(body(200), x_source="modest"))
        await eventually(lambda: producer.waiting == 3)
        assert bench.count("ingest_throttled_requests_total") == 1
        assert bench.count("ingest_bytes_in_hand") == 720
        producer.go.set()
        assert {(await each).status_code for each in (*greedy, modest)} == {202}
        assert bench.count("ingest_bytes_in_hand") == 0
        assert (await bench.post(body(260), x_source="greedy")).status_code == 202


async def test_without_pressure_nobody_waits() -> None:
    async with crowded() as (bench, producer):
        alone = [asyncio.create_task(bench.post(body(160), x_source="alone")) for _ in range(3)]
        await eventually(lambda: producer.waiting == 3)
        producer.go.set()
        assert {(await each).status_code for each in alone} == {202}
        assert bench.count("ingest_throttled_requests_total") == 0


async def test_records_that_wait_for_the_broker_are_pressure_too() -> None:
    async with crowded(pressed_records=0) as (bench, producer):
        first = asyncio.create_task(bench.post(body(90), x_source="first"))
        await eventually(lambda: producer.waiting == 1)
        problem(await bench.post(body(90), x_source="first"), 429)
        second = asyncio.create_task(bench.post(body(90), x_source="second"))
        await eventually(lambda: producer.waiting == 2)
        producer.go.set()
        assert {(await first).status_code, (await second).status_code} == {202}


async def test_clients_without_a_source_are_told_apart_by_their_address() -> None:
    async with crowded() as (bench, producer):
        held = [asyncio.create_task(bench.post(body(260))) for _ in range(2)]
        await eventually(lambda: producer.waiting == 2)
        answer = await bench.post(body(260))
        problem(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1
        producer.go.set()
        await asyncio.gather(*held)


async def test_retry_after_follows_the_rate_at_which_the_broker_takes_bytes() -> None:
    async with crowded() as (bench, producer):
        for _ in range(4):  # 100 bytes a second
            sent = asyncio.create_task(bench.post(body(100)))
            before = producer.waiting
            await eventually(lambda before=before: producer.waiting > before)  # type: ignore[misc]
            bench.clock.seconds += 1.0
            producer.go.set()
            assert (await sent).status_code == 202
            producer.go.clear()
        held = [asyncio.create_task(bench.post(body(450), x_source=name)) for name in ("a", "b")]
        await eventually(lambda: producer.waiting == 6)
        answer = await bench.post(body(200), x_source="c")
        problem(answer, 503)
        assert answer.headers["retry-after"] == "9"
        producer.go.set()
        await asyncio.gather(*held)


def drain(clock: StoppedClock, *steps: tuple[float, int]) -> DrainRate:
    """Each step: so many seconds with work in hand, then so many bytes gone."""
    rate = DrainRate(clock)
    rate.begin()
    for seconds, size in steps:
        clock.seconds += seconds
        rate.drained(size)
    return rate


@pytest.mark.parametrize(
    ("steps", "in_hand", "wanted"),
    [
        ((), 10**6, 1),  # nothing is known yet
        (((0.1, 10),), 10**6, 1),  # nor after a moment
        (((2.0, 2_000),), 0, 1),
        (((2.0, 2_000),), 100, 1),
        (((2.0, 2_000),), 4_500, 5),
        (((2.0, 2_000),), 10**6, 30),
        (((2.0, 0),), 1, 30),  # a silent broker
        (((100.0, 0), (60.0, 600_000)), 60_000, 1),  # what was slow long ago is forgotten
    ],
)
def test_retry_after_is_within_its_bounds(
    steps: tuple[tuple[float, int], ...], in_hand: int, wanted: int
) -> None:
    assert drain(StoppedClock(), *steps).retry_after_s(in_hand) == wanted


def test_silence_with_work_in_hand_lowers_the_rate_and_idle_time_does_not() -> None:
    clock = StoppedClock()
    rate = drain(clock, (1.0, 1_000))
    clock.seconds += 3_600
    assert rate.per_second(busy=False) == pytest.approx(1_000, rel=0.1)
    rate.begin()
    clock.seconds += 9
    assert rate.per_second(busy=True) < 500


def filled(*seats: tuple[Client, int]) -> Room:
    room = Room(ROOM_BYTES, DrainRate(StoppedClock()), Metrics(CollectorRegistry()))
    for client, size in seats:
        room.take(client, size)
    return room


def test_a_new_source_with_each_request_is_no_way_around() -> None:
    """Of two addresses the one that takes more than its part waits, whatever it calls itself."""
    abuse = [(Client("there", f"name {number}"), 50) for number in range(10)]
    room = filled(*abuse, (Client("here", "shop"), 60))
    with pytest.raises(Problem) as refused:
        room.take(Client("there", "name 11"), 50)
    assert refused.value.status == 429
    room.take(Client("here", "shop"), 50)


def test_one_address_cannot_take_the_room_from_the_others_whatever_it_calls_itself() -> None:
    room = filled(*((Client("there", f"name {number}"), 100) for number in range(9)))
    with pytest.raises(Problem) as refused:
        room.take(Client("there", "name 10"), 10)
    assert refused.value.status == 429
    room.take(Client("here", "shop"), 90)


def test_behind_one_address_the_source_counts() -> None:
    room = filled((Client("proxy", "greedy"), 500), (Client("proxy", "modest"), 60))
    with pytest.raises(Problem):
        room.take(Client("proxy", "greedy"), 50)
    room.take(Client("proxy", "modest"), 50)


def test_room_forgets_clients_that_hold_nothing() -> None:
    clock = StoppedClock()
    room = Room(ROOM_BYTES, DrainRate(clock), Metrics(CollectorRegistry()))
    for number in range(100):
        with room.seat(Client(f"address {number}", "shop")) as seat:
            seat.hold(5)
            seat.hold(5)
    assert repr(room) == "<Room 0 of 1000 bytes, 0 clients>"


def test_room_is_given_back_when_a_part_of_a_body_is_refused() -> None:
    room = Room(ROOM_BYTES, DrainRate(StoppedClock()), Metrics(CollectorRegistry()))
    other = room.seat(Client("there", "other"))
    with other:
        other.hold(100)
        with pytest.raises(Problem) as refused:
            hold_in_parts(room, 450, 200)
        assert refused.value.status == 429
        assert room.taken_bytes == 100


def hold_in_parts(room: Room, *sizes: int) -> None:
    with room.seat(Client("here", "one")) as seat:
        for size in sizes:
            seat.hold(size)


async def test_same_key_with_another_body_is_422_and_with_the_same_body_the_same_answer(bench: Bench) -> None:
    first = await bench.post([event_item(event_id="a")], idempotency_key="k")
    again = await bench.post([event_item(event_id="a")], idempotency_key="k")
    assert (first.status_code, again.json()) == (202, first.json())
    other = problem(await bench.post([event_item(event_id="b")], idempotency_key="k"), 422)
    assert "Idempotency-Key" in other["detail"]
    assert bench.count("ingest_key_conflicts_total") == 1
    assert len(bench.records()) == 2


@pytest.mark.parametrize("change", [{"x_source": "other"}, {"to": "orders"}, {"idempotency_key": "k2"}])
async def test_key_belongs_to_its_source_and_route(bench: Bench, change: dict[str, str]) -> None:
    await bench.post([event_item()], idempotency_key="k")
    sent = {"to": "events", "idempotency_key": "k", **change}
    items = [order_item()] if sent["to"] == "orders" else [event_item(user_id=2)]
    assert (await bench.post(items, **sent)).status_code == 202


@pytest.mark.parametrize("bad", [b"nope", b"[]", b"[{}]"])
async def test_key_of_a_body_that_was_no_good_is_free_for_a_better_one(bench: Bench, bad: bytes) -> None:
    assert (await bench.post(bad, idempotency_key="k")).status_code in {400, 422}
    assert (await bench.post([event_item()], idempotency_key="k")).status_code == 202


async def test_key_of_a_503_is_kept_for_its_body(bench: Bench) -> None:
    bench.broker.silent = True
    handed_out = problem(await bench.post([order_item()], to="orders"), 503)["idempotency_key"]
    bench.broker.silent = False
    problem(await bench.post([order_item(order_id=2)], to="orders", idempotency_key=handed_out), 422)
    again = await bench.post([order_item()], to="orders", idempotency_key=handed_out)
    assert again.status_code == 202


async def test_as_many_keys_are_remembered_as_the_policy_says_and_the_oldest_is_forgotten() -> None:
    async with open_bench(replace(POLICY, max_keys_remembered=2)) as bench:
        for key in ("k1", "k2", "k1", "k3"):
            assert (await bench.post([event_item()], idempotency_key=key)).status_code == 202
        problem(await bench.post([event_item(user_id=2)], idempotency_key="k1"), 422)
        assert (await bench.post([event_item(user_id=2)], idempotency_key="k2")).status_code == 202
