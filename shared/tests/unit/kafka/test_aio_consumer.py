"""Moments between the consumer and its client library that a real broker brings about too rarely."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka

from tillstream.errors import BrokerUnavailable
from tillstream.kafka.aio import AioConsumer
from tillstream.kafka.aio_records import moment
from tillstream.kafka.rebalance import Rebalance
from tillstream.kafka.records import Place, Record
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.unit

PLACE = Place("t", 0)
SOON_S = 5.0
RECORD = Record("t", 0, 0, b"k", b"v", (), moment(0))


class Client:
    """Has one record; whoever asks during a rebalance waits for ever, as in aiokafka."""

    def __init__(self) -> None:
        self.calls = 0
        self.at = 0
        self.fails = False
        self.rebalance: Coroutine[Any, Any, None] | None = None

    def assignment(self) -> frozenset[TopicPartition]:
        return _ASSIGNMENT

    def pause(self, *_partitions: TopicPartition) -> None: ...

    def resume(self, *_partitions: TopicPartition) -> None: ...

    def seek(self, _partition: TopicPartition, _offset: int) -> None: ...

    async def position(self, _partition: TopicPartition) -> int:
        return self.at

    async def getmany(self, *_partitions: TopicPartition, **_bounds: int) -> dict[TopicPartition, list[Any]]:
        self.calls += 1
        if self.fails:
            raise kafka.KafkaConnectionError
        if self.calls > 1:
            await asyncio.Event().wait()
        if self.rebalance is not None:
            asyncio.get_running_loop().call_soon(self.rebalance.send, None)
        return {TopicPartition("t", 0): [[RECORD]]}


_ASSIGNMENT = frozenset({TopicPartition("t", 0)})


def started(client: Client, rebalance: Rebalance) -> AioConsumer:
    consumer = AioConsumer("nowhere:1", group="g", client_id="c")
    consumer._consumer = client  # in place of a started one
    consumer._listener = rebalance
    consumer.on_assigned(frozenset({PLACE}))
    consumer.seek(PLACE, 0)
    return consumer


async def test_a_rebalance_between_two_polls_of_one_fetch_does_not_wait_for_it() -> None:
    client, rebalance = Client(), Rebalance(patience_s=60.0)
    consumer = started(client, rebalance)
    client.rebalance = consumer.on_revoked(frozenset({PLACE}))
    fetching = consumer.fetch(max_records=100, max_bytes=1_000, wait_s=SOON_S)
    records = await asyncio.wait_for(fetching, SOON_S)
    assert ([record.place for record in records], client.calls) == ([PLACE], 1)
    assert rebalance.revoking
    client.rebalance.close()


async def test_a_poll_that_waits_is_let_go_by_a_rebalance() -> None:
    client = Client()
    client.calls = 1
    consumer = started(client, Rebalance(patience_s=0.0))
    fetching = asyncio.create_task(consumer.fetch(max_records=100, max_bytes=1_000, wait_s=60.0))
    await asyncio.sleep(0)
    await consumer.on_revoked(frozenset({PLACE}))
    assert await asyncio.wait_for(fetching, SOON_S) == []


async def test_where_the_log_goes_on_without_a_record_it_says_so() -> None:
    client = Client()
    consumer = started(client, Rebalance(0.0))
    assert await consumer.passed_over() == {}
    client.at = 2
    assert await consumer.passed_over() == {PLACE: (0, 2)}
    consumer.pause({PLACE})
    assert await consumer.passed_over() == {}


async def test_a_position_that_a_poll_under_way_has_moved_is_not_believed() -> None:
    client = Client()
    client.calls = 1
    consumer = started(client, Rebalance(0.0))
    fetching = asyncio.create_task(consumer.fetch(max_records=100, max_bytes=1_000, wait_s=60.0))
    await eventually(lambda: client.calls == 2)
    client.at = 2
    assert await consumer.passed_over() == {}
    fetching.cancel()
    await asyncio.wait({fetching})
    assert await consumer.passed_over() == {}


async def test_a_position_after_a_poll_that_failed_is_not_believed_until_it_is_sought_anew() -> None:
    client = Client()
    client.fails = True
    consumer = started(client, Rebalance(0.0))
    with pytest.raises(BrokerUnavailable):
        await consumer.fetch(max_records=100, max_bytes=1_000, wait_s=SOON_S)
    client.at = 2
    assert await consumer.passed_over() == {}
    consumer.seek(PLACE, 1)
    assert await consumer.passed_over() == {PLACE: (1, 2)}


class Broken(Rebalance):
    async def revoked(self, places: frozenset[Place]) -> None:
        raise ZeroDivisionError(str(places))


async def test_a_bug_in_a_callback_is_raised_by_the_next_fetch() -> None:
    """aiokafka would only log it."""
    consumer = started(Client(), Broken(0.0))
    await consumer.on_revoked(frozenset({PLACE}))
    with pytest.raises(ZeroDivisionError):
        await consumer.fetch(max_records=1, max_bytes=1, wait_s=SOON_S)
