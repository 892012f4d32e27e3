"""What is opened to ask Kafka is closed again, whatever happens to the others."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from support.ports import free_port
from tillstream.errors import BrokerUnavailable
from tillstream.kafka import cluster
from tillstream.kafka.cluster import in_the_end
from tillstream.kafka.logs import read_logs
from tillstream.kafka.topic_ids import TopicIds

pytestmark = pytest.mark.unit

DEADLINE_S = 2.0


async def test_a_client_that_fails_to_close_leaves_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []

    async def fail(_ids: TopicIds) -> None:
        raise OSError("gone")

    for kind, name in ((AIOKafkaConsumer, "stop"), (AIOKafkaAdminClient, "close")):
        before = getattr(kind, name)

        async def close(client: Any, before: Any = before) -> None:
            await before(client)
            closed.append(type(client))

        monkeypatch.setattr(kind, name, close)
    monkeypatch.setattr(TopicIds, "close", fail)

    with pytest.raises(BrokerUnavailable):
        await read_logs(f"127.0.0.1:{free_port()}", "toy", DEADLINE_S)

    assert closed == [AIOKafkaConsumer, AIOKafkaAdminClient]


async def test_a_client_that_does_not_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CLOSE_WITHIN_S", 0.01)
    async with asyncio.timeout(DEADLINE_S), in_the_end(asyncio.Event().wait):
        pass
