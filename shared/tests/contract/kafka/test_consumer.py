"""What every consumer does, in memory and on a real broker."""

import asyncio
from functools import partial

import pytest

from tillstream.errors import BrokerUnavailable, Misconfigured, OwnershipLost
from tillstream.kafka.ports import Consumer, Producer
from tillstream.kafka.records import Outgoing, Place, Record, bytes_of
from tillstream.testing.waiting import eventually

from .conftest import Join
from .worlds import DEADLINE_S, STOP_S, Group, World, in_place, new_topic, outgoing, read

pytestmark = pytest.mark.contract


@pytest.fixture
async def topic(world: World, producer: Producer) -> str:
    """A topic of four partitions with ten records in each."""
    name = new_topic()
    await world.create_topic(name, 4)
    full = dict.fromkeys(range(4), 0)
    while min(full.values()) < 10:
        for result in await producer.publish([Outgoing(name, None, b"x")] * 4, DEADLINE_S):
            full[result.partition or 0] += 1
    return name


def places(topic: str, partitions: int = 4) -> list[Place]:
    return [Place(topic, number) for number in range(partitions)]


async def nothing_comes(member: Consumer) -> bool:
    return not await member.fetch(max_records=100, max_bytes=1_000_000, wait_s=0.3)


async def test_a_lone_member_is_given_every_place(topic: str, join: Join) -> None:
    member, group = await join("alone", topic)
    assert group.assigned_to[-1] == member.assigned() == frozenset(places(topic))


async def test_nothing_comes_before_a_seek(topic: str, join: Join) -> None:
    member, _ = await join("unsought", topic)
    assert await nothing_comes(member)
    member.seek(Place(topic, 1), 4)
    assert [record.offset for record in await read(member, 6)] == [4, 5, 6, 7, 8, 9]


async def test_a_place_can_be_rewound(topic: str, join: Join) -> None:
    member, _ = await join("rewind", topic)
    place = Place(topic, 2)
    member.seek(place, 0)
    first = await read(member, 10)
    member.seek(place, 0)
    assert await read(member, 10) == first


async def test_offsets_told_to_kafka_do_not_decide_where_to_go_on(
    world: World, topic: str, join: Join
) -> None:
    member, _ = await join("told", topic)
    await member.commit(dict.fromkeys(places(topic), 7))
    await member.stop(STOP_S)
    assert await world.committed("told") == dict.fromkeys(places(topic), 7)
    successor, _ = await join("told", topic)
    assert await nothing_comes(successor)
    successor.seek(Place(topic, 0), 2)
    assert [record.offset for record in await read(successor, 8)] == list(range(2, 10))


async def test_a_fetch_is_bounded_in_records(topic: str, join: Join) -> None:
    member, _ = await join("few", topic)
    for place in places(topic):
        member.seek(place, 0)
    seen = 0
    while seen < 40:
        records = await member.fetch(max_records=7, max_bytes=1_000_000, wait_s=1.0)
        assert len(records) <= 7
        seen += len(records)


async def test_a_fetch_stops_once_it_has_enough_bytes(world: World, producer: Producer, join: Join) -> None:
    topic = new_topic()
    await world.create_topic(topic, 1)
    await producer.publish([Outgoing(topic, b"k", b"x" * 100)] * 3_000, DEADLINE_S)
    member, _ = await join("bytes", topic)
    member.seek(Place(topic, 0), 0)
    records = await member.fetch(max_records=3_000, max_bytes=10_000, wait_s=DEADLINE_S)
    assert 0 < len(records) < 3_000
    rest = await read(member, 3_000 - len(records))
    assert [record.offset for record in [*records, *rest]] == list(range(3_000))


async def test_a_fetch_of_large_records_ends_with_the_one_that_is_enough(
    world: World, producer: Producer, join: Join
) -> None:
    """Small ones come first, so that nobody can know; then large ones, some of them large by their headers only."""
    topic, partitions, enough = new_topic(), 6, 1_000_000
    await world.create_topic(topic, partitions)
    small = [Outgoing(topic, b"%d" % each, b"x") for each in range(1_200)]
    large = [Outgoing(topic, b"%d" % each, b"x" * 80_000) for each in range(120)]
    header = [Outgoing(topic, b"%d" % each, b"x", [("h", b"x" * 80_000)]) for each in range(120)]
    for some in (small, large, small, header):
        results = await producer.publish(some, DEADLINE_S)
        assert all(result.acknowledged for result in results)
    member, _ = await join("large", topic)
    for place in places(topic, partitions):
        member.seek(place, 0)
    seen: list[Record] = []
    total = 2 * (1_200 + 120)
    while len(seen) < total:
        fetched = await member.fetch(max_records=5_000, max_bytes=enough, wait_s=DEADLINE_S)
        assert sum(map(bytes_of, fetched[:-1])) < enough
        assert sum(len(record.value or b"") for record in fetched[:-1]) < enough
        seen += fetched
    for place in places(topic, partitions):
        offsets = [record.offset for record in seen if record.place == place]
        assert offsets == list(range(len(offsets)))


async def test_a_paused_place_waits_and_loses_nothing(topic: str, join: Join) -> None:
    member, _ = await join("pause", topic)
    held, other = Place(topic, 0), Place(topic, 3)
    for place in (held, other):
        member.seek(place, 0)
    member.pause([held])
    assert in_place(await read(member, 10), held) == []
    assert await nothing_comes(member)
    member.resume([held])
    assert [record.offset for record in await read(member, 10)] == list(range(10))


async def test_the_log_says_where_it_begins_and_ends(world: World, topic: str, join: Join) -> None:
    member, _ = await join("ends", topic)
    await world.drop_before(Place(topic, 0), 3)
    assert await member.log_starts(places(topic)) == {
        place: 3 if place.partition == 0 else 0 for place in places(topic)
    }
    assert await member.log_ends(places(topic)) == dict.fromkeys(places(topic), 10)


async def test_an_offset_that_the_log_does_not_have_is_refused_loudly(
    world: World, topic: str, join: Join
) -> None:
    member, _ = await join("gone", topic)
    place = Place(topic, 0)
    await world.drop_before(place, 5)
    member.seek(place, 1)
    with pytest.raises(Misconfigured):
        await read(member, 1)


async def test_a_missing_topic_is_refused_by_name(world: World) -> None:
    member = world.consumer("nobody")
    with pytest.raises(Misconfigured, match="no-such-topic"):
        await member.start(["no-such-topic"], Group())
    await member.stop(STOP_S)


async def test_new_records_end_a_wait(world: World, producer: Producer, join: Join) -> None:
    topic = new_topic()
    await world.create_topic(topic, 1)
    member, _ = await join("news", topic)
    member.seek(Place(topic, 0), 0)
    waiting = asyncio.create_task(read(member, 1))
    await producer.publish(outgoing(topic, 1), DEADLINE_S)
    assert [record.value for record in await waiting] == [b"value 0"]


async def test_two_members_share_and_nobody_has_the_same_place(topic: str, join: Join) -> None:
    one, _ = await join("share", topic)
    other, _ = await join("share", topic)
    await eventually(lambda: len(one.assigned()) == len(other.assigned()) == 2)
    assert one.assigned() | other.assigned() == frozenset(places(topic))


async def test_a_rebalance_waits_until_the_work_is_laid_down(topic: str, join: Join) -> None:
    worker, group = await join("hold", topic)
    for place in places(topic):
        worker.seek(place, 0)
    group.holds = True
    newcomer, told = await join("hold", topic, wait=False)
    await eventually(lambda: frozenset(places(topic)) in group.revoked_from)
    assert await nothing_comes(worker)
    assert not told.assigned_to
    group.let_go.set()
    await eventually(lambda: told.assigned_to and len(newcomer.assigned()) == 2)


async def test_what_was_sought_before_a_rebalance_must_be_sought_again(topic: str, join: Join) -> None:
    one, group = await join("again", topic)
    for place in places(topic):
        one.seek(place, 0)
    await read(one, 40)
    other, _ = await join("again", topic)
    await eventually(lambda: len(group.assigned_to) > 1 and len(one.assigned()) == 2)
    assert await nothing_comes(one)
    lost = next(iter(other.assigned()))
    with pytest.raises(OwnershipLost):
        one.seek(lost, 0)
    with pytest.raises(OwnershipLost):
        await one.commit({lost: 1})


async def test_a_member_that_leaves_hands_its_places_over_at_once(topic: str, join: Join) -> None:
    one, _ = await join("leave", topic)
    other, _ = await join("leave", topic)
    await eventually(lambda: len(one.assigned()) == len(other.assigned()) == 2)
    await one.stop(STOP_S)
    await eventually(lambda: len(other.assigned()) == 4)
    assert one.assigned() == frozenset()


async def test_a_cluster_has_one_identity(topic: str, join: Join) -> None:
    member, _ = await join("identity", topic)
    identity = await member.cluster_id()
    assert identity
    assert identity == await member.cluster_id()


async def test_another_client_is_answered_too(topic: str, join: Join) -> None:
    member, _ = await join("anew", topic)
    await member.ask_anew()


async def test_a_topic_keeps_its_id_until_it_is_made_anew(world: World, topic: str, join: Join) -> None:
    other = new_topic()
    await world.create_topic(other, 1)
    member, _ = await join("ids", topic, other)
    ids = await member.topic_ids([topic, other])
    assert len({ids[topic], ids[other]}) == 2
    assert await member.topic_ids([topic]) == {topic: ids[topic]}
    await world.delete_topic(topic)
    await world.create_topic(topic, 4)
    again = await member.topic_ids([topic, other])
    assert again[topic] != ids[topic]
    assert again[other] == ids[other]


async def test_a_topic_that_is_gone_has_no_id_for_now(world: World, topic: str, join: Join) -> None:
    other = new_topic()
    await world.create_topic(other, 1)
    member, _ = await join("no-id", other)
    await world.delete_topic(topic)
    with pytest.raises(BrokerUnavailable, match=topic):
        await member.topic_ids([topic, other])
    assert other in await member.topic_ids([other])


class Reader:
    """Fetches without a pause and, like the consumer loop, lets a rebalance go on between two fetches."""

    def __init__(self, member: Consumer, topic: str) -> None:
        self.rounds = 0
        self._member = member
        self._topic = topic
        self._revoking = False
        self._laid_down = asyncio.Event()

    async def revoked(self, held: frozenset[Place]) -> None:
        self._revoking = True
        self._laid_down.clear()
        if held:
            async with asyncio.timeout(DEADLINE_S):
                await self._laid_down.wait()

    def assigned(self, held: frozenset[Place]) -> None:
        assert held, "it is never in reserve here"
        self._revoking = False
        self.rounds += 1

    def has_seen(self, rounds: int) -> bool:
        return self.rounds >= rounds

    async def read_on(self) -> None:
        while True:
            if self._revoking:
                self._laid_down.set()
            for place in self._member.assigned():
                self._member.seek(place, 0)
            await self._member.fetch(max_records=100, max_bytes=1_000_000, wait_s=0.2)


async def test_a_fetch_never_waits_for_a_rebalance_that_waits_for_it(
    world: World, topic: str, join: Join
) -> None:
    member = world.consumer("never")
    reader = Reader(member, topic)
    await member.start([topic], reader)
    reading = asyncio.create_task(reader.read_on())
    try:
        await eventually(lambda: reader.rounds == 1)
        for seen in (1, 3, 5):
            newcomer, _ = await join("never", topic)
            await newcomer.stop(STOP_S)
            await eventually(partial(reader.has_seen, seen + 2))
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        await member.stop(STOP_S)
