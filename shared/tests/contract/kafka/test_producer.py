"""What every producer does, in memory and on a real broker."""

import asyncio

import pytest

from tillstream.errors import BrokerUnavailable, RecordTooLarge
from tillstream.kafka.partitions import partition_of
from tillstream.kafka.ports import Producer
from tillstream.kafka.records import Outgoing, Place

from .conftest import Join
from .worlds import DEADLINE_S, World, in_place, new_topic, outgoing, read

pytestmark = pytest.mark.contract

TWO_MIB = 2 * 1024 * 1024


async def test_every_record_is_acknowledged_at_its_own_offset(world: World, producer: Producer) -> None:
    topic = new_topic()
    await world.create_topic(topic, 3)
    results = await producer.publish(outgoing(topic, 50), DEADLINE_S)
    assert all(result.acknowledged for result in results)
    assert len({(result.partition, result.offset) for result in results}) == 50


async def test_a_key_goes_where_every_kafka_client_sends_it(world: World, producer: Producer) -> None:
    topic = new_topic()
    await world.create_topic(topic, 12)
    records = outgoing(topic, 40)
    results = await producer.publish(records, DEADLINE_S)
    assert [result.partition for result in results] == [partition_of(r.key or b"", 12) for r in records]


async def test_records_without_a_key_are_spread(world: World, producer: Producer) -> None:
    topic = new_topic()
    await world.create_topic(topic, 3)
    results = await producer.publish([Outgoing(topic, None, b"x") for _ in range(9)], DEADLINE_S)
    assert {result.partition for result in results} == {0, 1, 2}


async def test_records_of_one_key_keep_their_order(world: World, producer: Producer, join: Join) -> None:
    topic = new_topic()
    await world.create_topic(topic, 4)
    records = outgoing(topic, 200, key=b"one")
    await asyncio.gather(*(producer.publish(records[at : at + 20], DEADLINE_S) for at in range(0, 200, 20)))
    member, _ = await join("order", topic)
    place = Place(topic, partition_of(b"one", 4))
    member.seek(place, 0)
    assert [record.value for record in await read(member, 200)] == [record.value for record in records]


async def test_a_record_arrives_as_it_was_sent(world: World, producer: Producer, join: Join) -> None:
    topic = new_topic()
    await world.create_topic(topic, 1)
    headers = [("ce_id", b"17"), ("empty", b""), ("bytes", b"\x00\xff")]
    [result] = await producer.publish([Outgoing(topic, b"\x00key", b"\xffvalue", headers)], DEADLINE_S)
    member, _ = await join("arrival", topic)
    member.seek(Place(topic, 0), 0)
    [record] = await read(member, 1)
    assert (record.key, record.value, list(record.headers)) == (b"\x00key", b"\xffvalue", headers)
    assert (record.topic, record.partition, record.offset) == (topic, result.partition, result.offset)
    assert record.timestamp.utcoffset() is not None


async def test_a_record_that_is_too_large_fails_alone(world: World, producer: Producer) -> None:
    topic = new_topic()
    await world.create_topic(topic, 1)
    good, bad = Outgoing(topic, b"k", b"small"), Outgoing(topic, b"k", b"x" * TWO_MIB)
    results = await producer.publish([good, bad, good], DEADLINE_S)
    assert [result.acknowledged for result in results] == [True, False, True]
    assert isinstance(results[1].error, RecordTooLarge)


async def test_a_record_just_below_the_limit_is_taken(world: World, producer: Producer, join: Join) -> None:
    topic = new_topic()
    await world.create_topic(topic, 1)
    value = b"x" * (1024 * 1024)
    [result] = await producer.publish([Outgoing(topic, b"k", value)], DEADLINE_S)
    assert result.acknowledged
    member, _ = await join("large", topic)
    member.seek(Place(topic, 0), 0)
    assert [record.value for record in await read(member, 1)] == [value]


async def test_nothing_is_promised_for_an_unknown_topic(producer: Producer) -> None:
    [result] = await producer.publish([Outgoing(new_topic(), b"k", b"v")], 0.3)
    assert isinstance(result.error, BrokerUnavailable)


async def test_a_producer_that_was_stopped_refuses(world: World) -> None:
    producer = world.producer()
    await producer.start()
    await producer.probe()
    await producer.stop()
    await producer.stop()
    with pytest.raises(BrokerUnavailable):
        await producer.publish([Outgoing(new_topic(), b"k", b"v")], DEADLINE_S)


async def test_two_places_of_one_call_each_keep_their_own_offsets(
    world: World, producer: Producer, join: Join
) -> None:
    one, other = new_topic(), new_topic()
    await world.create_topic(one, 1)
    await world.create_topic(other, 1)
    results = await producer.publish([*outgoing(one, 3), *outgoing(other, 2)], DEADLINE_S)
    assert [result.offset for result in results] == [0, 1, 2, 0, 1]
    member, _ = await join("two topics", one, other)
    for topic in (one, other):
        member.seek(Place(topic, 0), 0)
    records = await read(member, 5)
    assert [len(in_place(records, Place(topic, 0))) for topic in (one, other)] == [3, 2]
