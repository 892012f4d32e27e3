"""A running etl-worker on a broker in memory and a real PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, override

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families
from psycopg import AsyncConnection
from pydantic import SecretStr

from etl_worker.app import App, Ports, build
from etl_worker.settings import WorkerSettings
from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.apply.engine import Engine
from tillstream.apply.replay import Replayer
from tillstream.apply.sweep import Sweeper
from tillstream.clock import SystemClock
from tillstream.contracts.entities import TOPIC_OF, Entity
from tillstream.contracts.envelope import headers_for
from tillstream.contracts.ids import new_id
from tillstream.kafka.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from tillstream.kafka.ports import Producer
from tillstream.kafka.records import Outgoing
from tillstream.testing.waiting import eventually

DEADLINE_S = 10.0


def envelope(entity: Entity, value: bytes, key: bytes = b"1") -> Outgoing:
    """A record as ingest-api publishes it."""
    headers = headers_for(
        message_id=new_id(), entity=entity, source="shop", accepted_at=datetime.now(UTC), position=0
    )
    return Outgoing(TOPIC_OF[entity], key, value, headers)


@dataclass
class Works:
    """The worker under test and everything around it."""

    database: Database
    producer: Producer
    settings: WorkerSettings

    def app(self) -> App:
        """A worker that is not running yet."""
        raise NotImplementedError

    @asynccontextmanager
    async def running(self) -> AsyncIterator[App]:
        app, stop = self.app(), asyncio.Event()
        task = asyncio.create_task(app.run(stop), name="worker")
        try:
            yield app
        finally:
            stop.set()
            await asyncio.wait_for(task, DEADLINE_S)

    async def publish(self, entity: Entity, *items: dict[str, Any] | bytes, key: bytes = b"1") -> None:
        values = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
        results = await self.producer.publish([envelope(entity, value, key) for value in values], DEADLINE_S)
        assert all(result.acknowledged for result in results)

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with await AsyncConnection.connect(self.database.superuser_dsn, autocommit=True) as conn:
            return await (await conn.execute(statement.encode())).fetchall()

    async def has(self, statement: str, *rows: tuple[Any, ...], within_s: float = DEADLINE_S) -> None:
        """Wait until a statement answers with these rows, and show what it answers if it never does."""
        found: list[tuple[Any, ...]] = []

        async def same() -> bool:
            found[:] = await self.rows(statement)
            return found == list(rows)

        try:
            await eventually(same, within_s)
        except AssertionError:
            assert found == list(rows)


@dataclass
class MemoryWorks(Works):
    """On a broker in memory."""

    broker: MemoryBroker

    @override
    def app(self) -> App:
        engine = Engine()
        return build(
            self.settings,
            Ports(
                consumer=MemoryConsumer(self.broker, group="worker"),
                clock=SystemClock(),
                apply=engine.apply,
                sweeper=Sweeper(engine),
                replayer=Replayer(engine, self.settings.shop_timezone),
            ),
        )


def metric(app: App, name: str, **labels: str) -> float:
    """A sample's value as Prometheus would scrape it; 0 where it is not there (yet)."""
    for family in text_string_to_metric_families(app.metrics.exposition().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return 0.0


@pytest.fixture
async def works(database: Database) -> MemoryWorks:
    broker = MemoryBroker(SystemClock())
    for topic in TOPIC_OF.values():
        broker.create_topic(topic, 3)
    producer = MemoryProducer(broker)
    await producer.start()
    settings = WorkerSettings(database_url=SecretStr(database.worker_dsn), ops_port=0, env="development")
    return MemoryWorks(database, producer, settings, broker)


@pytest.fixture
async def producer(kafka_server: KafkaServer) -> AsyncIterator[AIOKafkaProducer]:
    """Of raw batches, whatever they are packed to."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server.bootstrap, max_request_size=4 * 1024 * 1024)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
