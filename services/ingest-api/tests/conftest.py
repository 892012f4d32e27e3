"""A door on a broker in memory, reached without a network."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from ingest_api.app import App, build
from ingest_api.policy import (
    DEFAULT_DRY_RUN_POLICY,
    DEFAULT_UPLOAD_POLICY,
    DryRunPolicy,
    IngestPolicy,
    UploadPolicy,
)
from ingest_api.settings import IngestSettings
from tillstream.contracts.entities import ENTITY_OF_TOPIC, TOPIC_OF, Entity
from tillstream.contracts.envelope import read_record
from tillstream.contracts.messages import Message
from tillstream.kafka.memory import MemoryBroker, MemoryProducer
from tillstream.kafka.ports import Producer
from tillstream.kafka.records import Record
from tillstream.testing.waiting import eventually

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
POLICY = IngestPolicy(publish_s=0.1, reconnect_s=0.01, read_s=1.0)
# Empty strings count as not set, so the environment of whoever runs the tests changes nothing.
SETTINGS = IngestSettings(ingest_port=0, ops_port=0)

Body = dict[str, Any]


class StoppedClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


class Bench:
    """An app, its broker, and a client."""

    def __init__(
        self, app: App, broker: MemoryBroker, client: httpx2.AsyncClient, clock: StoppedClock
    ) -> None:
        self.app = app
        self.broker = broker
        self.client = client
        self.clock = clock

    async def post(
        self,
        items: object,
        *,
        to: str = "events",
        content_type: str = "application/json",
        **headers: str,
    ) -> httpx2.Response:
        """`items` goes out as JSON, or as it is where it is bytes. Names of headers have _ for -."""
        content = items if isinstance(items, bytes) else json.dumps(items).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(
            f"/ingest/{to}", content=content, headers={"content-type": content_type, **named}
        )

    def records(self, entity: Entity = Entity.EVENT) -> list[Record]:
        """What the broker has, in the order of its partitions."""
        places = self.broker.places(TOPIC_OF[entity])
        return [record for place in places for record in self.broker.log(place).records]

    def messages(self, entity: Entity = Entity.EVENT) -> list[Message]:
        """The same, as the worker reads it."""
        return [read_record(record, entity, UTC_ZONE) for record in self.records(entity)]

    def count(self, name: str, **labels: str) -> float:
        return self.app.metrics.registry.get_sample_value(f"tillstream_{name}", labels) or 0.0


@asynccontextmanager
async def open_bench(
    policy: IngestPolicy = POLICY,
    *,
    upload: UploadPolicy = DEFAULT_UPLOAD_POLICY,
    dry_run: DryRunPolicy = DEFAULT_DRY_RUN_POLICY,
    settings: IngestSettings = SETTINGS,
    broker: MemoryBroker | None = None,
    producer: Producer | None = None,
) -> AsyncIterator[Bench]:
    """A connected door on a broker with all topics; with `producer` given it publishes there instead."""
    clock = StoppedClock()
    if broker is None:
        broker = MemoryBroker(clock)
        for topic in ENTITY_OF_TOPIC:
            broker.create_topic(topic)
    app = build(
        settings,
        producer=producer or MemoryProducer(broker),
        clock=clock,
        policy=policy,
        upload=upload,
        dry_run=dry_run,
    )
    await app.link.open()
    await eventually(lambda: app.link.connected)
    transport = httpx2.ASGITransport(app=app.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://door") as client:
        yield Bench(app, broker, client, clock)
    await app.link.close()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as bench:
        yield bench


def problem(answer: httpx2.Response, status: int) -> Body:
    """The body of an answer that must be a problem of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: Body = answer.json()
    assert body["status"] == status
    assert body["detail"]
    return body


def column(rows: Sequence[Body], name: str) -> list[Any]:
    return [row[name] for row in rows]
