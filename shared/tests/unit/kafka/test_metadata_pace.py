"""aiokafka's own producer, without a broker: how often it asks for metadata while a partition has no leader."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import BrokerMetadata, PartitionMetadata

from tillstream.kafka.metadata_pace import PAUSE_S, pace_metadata

pytestmark = pytest.mark.unit

TOPIC = "t"
NO_LEADER = -1
EXPIRES_AFTER_S = 0.5


@pytest.fixture
async def producer() -> AsyncIterator[AIOKafkaProducer]:
    """One whose broker has gone, after it said that the topic's partition has no leader."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        producer = AIOKafkaProducer(
            bootstrap_servers=f"127.0.0.1:{port}",
            enable_idempotence=False,
            request_timeout_ms=int(EXPIRES_AFTER_S * 1_000),
        )
        client = producer.client
        client.cluster._brokers = {1: BrokerMetadata(1, "127.0.0.1", port, None)}
        client.cluster._partitions = {TOPIC: {0: PartitionMetadata(TOPIC, 0, NO_LEADER, [1], [], None)}}
        client._topics = {TOPIC}
        client._sync_task = asyncio.create_task(client._md_synchronizer())
        await producer._sender.start()
        yield producer
        await producer.stop()


async def send_until_it_expires(producer: AIOKafkaProducer, caplog: pytest.LogCaptureFixture) -> int:
    """How often it asked."""
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"k", value=b"v")
    delivered = await producer.send_batch(batch, TOPIC, partition=0)
    await asyncio.wait({delivered})
    assert delivered.exception() is not None
    return sum(record.message.startswith("Unable to update metadata") for record in caplog.records)


async def test_a_partition_without_a_leader_makes_few_questions(
    producer: AIOKafkaProducer, caplog: pytest.LogCaptureFixture
) -> None:
    pace_metadata(producer.client)
    asked = await send_until_it_expires(producer, caplog)
    assert 1 <= asked <= EXPIRES_AFTER_S / PAUSE_S + 2


async def test_aiokafka_itself_asks_without_a_breath(
    producer: AIOKafkaProducer, caplog: pytest.LogCaptureFixture
) -> None:
    """Once this fails, aiokafka waits by itself and `metadata_pace` may go."""
    assert await send_until_it_expires(producer, caplog) > 4 * EXPIRES_AFTER_S / PAUSE_S
