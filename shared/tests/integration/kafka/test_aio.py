"""The real adapters when the broker misbehaves: every wait ends, and nothing stays open."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from support.kafka import KafkaServer
from support.ports import free_port
from tillstream.contracts.topics import TOPIC_CONFIG, TopicSpec
from tillstream.errors import BrokerUnavailable
from tillstream.kafka.aio import AioConsumer, AioProducer, ConsumerPolicy, ProducerPolicy
from tillstream.kafka.rebalance import Rebalance
from tillstream.kafka.records import Outgoing, Place
from tillstream.kafka.topics import ensure_topics
from tillstream.testing.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.fault]

DEADLINE_S = 15.0
QUICK_PRODUCER = ProducerPolicy(request_s=1.0, stop_s=1.0, probe_s=0.3)
QUICK_CONSUMER = ConsumerPolicy(session_s=2.0, heartbeat_s=0.2, rebalance_s=1.0, request_s=2.0, answer_s=0.3)


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that takes connections and never says a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


@pytest.fixture
async def topic(kafka_server: KafkaServer) -> str:
    spec = TopicSpec(f"aio-{uuid4().hex[:12]}", 2, TOPIC_CONFIG)
    await ensure_topics(kafka_server.bootstrap, [spec], deadline_s=DEADLINE_S)
    return spec.name


@pytest.fixture
async def frozen(kafka_server: KafkaServer) -> AsyncIterator["Frozen"]:
    """The broker, which a test may freeze; it is thawed afterwards."""
    frozen = Frozen(kafka_server)
    yield frozen
    frozen.thaw()


class Frozen:
    def __init__(self, server: KafkaServer) -> None:
        self.bootstrap = server.bootstrap
        self._server = server

    def _send(self, number: signal.Signals) -> None:
        assert self._server.pid is not None
        os.kill(self._server.pid, number)

    def freeze(self) -> None:
        """Until it stands still: one thread hears of the signal first, and on a busy machine the others answer meanwhile."""
        self._send(signal.SIGSTOP)
        deadline = time.monotonic() + DEADLINE_S
        while not self._stands_still():
            assert time.monotonic() < deadline, "the broker goes on"

    def _stands_still(self) -> bool:
        threads = Path(f"/proc/{self._server.pid}/task").glob("*/status")
        try:
            return all("\nState:\tT" in thread.read_text() for thread in threads)
        except (FileNotFoundError, ProcessLookupError):
            return False  # a thread has just ended

    def thaw(self) -> None:
        self._send(signal.SIGCONT)


@pytest.mark.parametrize("kind", ["closed", "silent"])
async def test_a_start_without_a_broker_ends_and_may_be_repeated(silent: str, kind: str) -> None:
    address = silent if kind == "silent" else f"127.0.0.1:{free_port()}"
    producer = AioProducer(address, client_id="t", policy=replace(QUICK_PRODUCER, request_s=0.2))
    consumer = AioConsumer(address, group="t", client_id="t", policy=replace(QUICK_CONSUMER, request_s=0.2))
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(producer.start(), DEADLINE_S)
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(consumer.start(["t"], Rebalance(0.0)), DEADLINE_S)
    await producer.stop()
    await consumer.stop(1.0)


async def test_a_frozen_broker_is_unknown_within_the_deadline_and_harmless_after_it(
    frozen: Frozen, topic: str
) -> None:
    producer = AioProducer(frozen.bootstrap, client_id="t", policy=QUICK_PRODUCER)
    await producer.start()
    try:
        [first] = await producer.publish([Outgoing(topic, b"k", b"before")], DEADLINE_S)
        assert first.acknowledged
        frozen.freeze()
        began = time.monotonic()
        [unknown] = await producer.publish([Outgoing(topic, b"k", b"during")], 0.3)
        assert time.monotonic() - began < DEADLINE_S
        assert isinstance(unknown.error, BrokerUnavailable)
        with pytest.raises(BrokerUnavailable):
            await producer.probe()
        frozen.thaw()
        results = await producer.publish([Outgoing(topic, b"k", b"after")], DEADLINE_S)
        assert results[0].acknowledged
        await eventually(lambda: producer.waiting_records == 0)
    finally:
        await producer.stop()


async def test_a_frozen_broker_does_not_hold_up_a_stop(frozen: Frozen, topic: str) -> None:
    producer = AioProducer(frozen.bootstrap, client_id="t", policy=QUICK_PRODUCER)
    await producer.start()
    await producer.publish([Outgoing(topic, b"k", b"before")], DEADLINE_S)
    frozen.freeze()
    await producer.publish([Outgoing(topic, b"k", b"during")], 0.05)
    await asyncio.wait_for(producer.stop(), DEADLINE_S)


async def test_questions_to_a_frozen_broker_end(frozen: Frozen, topic: str) -> None:
    rebalance = Rebalance(0.0)
    consumer = AioConsumer(frozen.bootstrap, group=topic, client_id="t", policy=QUICK_CONSUMER)
    await consumer.start([topic], rebalance)
    try:
        await eventually(lambda: rebalance.generation)
        place = Place(topic, 0)
        consumer.seek(place, 0)
        frozen.freeze()
        for question in (
            consumer.log_ends([place]),
            consumer.log_starts([place]),
            consumer.commit({place: 0}),
        ):
            with pytest.raises(BrokerUnavailable):
                await asyncio.wait_for(question, DEADLINE_S)
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(consumer.cluster_id(), DEADLINE_S)
        assert await consumer.fetch(max_records=10, max_bytes=1_000, wait_s=0.1) == []
    finally:
        frozen.thaw()
        await asyncio.wait_for(consumer.stop(5.0), DEADLINE_S)
