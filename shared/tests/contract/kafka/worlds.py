"""The two worlds of the contract suite: the broker in memory and a real one, behind one face."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, override
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from tillstream.clock import SystemClock
from tillstream.contracts.topics import TOPIC_CONFIG, TopicSpec
from tillstream.kafka.aio import AioConsumer, AioProducer, ConsumerPolicy
from tillstream.kafka.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from tillstream.kafka.ports import Consumer, Producer
from tillstream.kafka.records import Outgoing, Place, Record
from tillstream.kafka.topics import ensure_topics
from tillstream.testing.waiting import eventually

DEADLINE_S = 10.0
STOP_S = 5.0
# Quick to notice that a member is gone, so that the suite is quick.
QUICK = ConsumerPolicy(session_s=3.0, heartbeat_s=0.2, rebalance_s=5.0, request_s=10.0)


class World(Protocol):
    """What the suite needs besides the ports."""

    def producer(self) -> Producer: ...

    def consumer(self, group: str) -> Consumer: ...

    async def create_topic(self, topic: str, partitions: int) -> None: ...

    async def delete_topic(self, topic: str) -> None:
        """Returns once the broker does not know it any more."""
        ...

    async def committed(self, group: str) -> dict[Place, int]:
        """The offsets that a group told Kafka."""
        ...

    async def drop_before(self, place: Place, offset: int) -> None:
        """What retention does."""
        ...


class MemoryWorld(World):
    def __init__(self) -> None:
        self._broker = MemoryBroker(SystemClock())

    @override
    def producer(self) -> Producer:
        return MemoryProducer(self._broker)

    @override
    def consumer(self, group: str) -> Consumer:
        return MemoryConsumer(self._broker, group=group)

    @override
    async def create_topic(self, topic: str, partitions: int) -> None:
        self._broker.create_topic(topic, partitions)

    @override
    async def delete_topic(self, topic: str) -> None:
        self._broker.delete_topic(topic)

    @override
    async def committed(self, group: str) -> dict[Place, int]:
        return dict(self._broker.group(group).offsets)

    @override
    async def drop_before(self, place: Place, offset: int) -> None:
        self._broker.drop_before(place, offset)


class RealWorld(World):
    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    @override
    def producer(self) -> Producer:
        return AioProducer(self._bootstrap, client_id="contract")

    @override
    def consumer(self, group: str) -> Consumer:
        return AioConsumer(self._bootstrap, group=group, client_id="contract", policy=QUICK)

    @override
    async def create_topic(self, topic: str, partitions: int) -> None:
        await ensure_topics(
            self._bootstrap, [TopicSpec(topic, partitions, TOPIC_CONFIG)], deadline_s=DEADLINE_S
        )

    @override
    async def delete_topic(self, topic: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()

        async def gone() -> bool:
            return topic not in await admin.list_topics()

        try:
            await admin.delete_topics([topic])
            await eventually(gone, DEADLINE_S)
        finally:
            await admin.close()

    @override
    async def committed(self, group: str) -> dict[Place, int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(group)
        finally:
            await admin.close()
        return {Place(*partition): told.offset for partition, told in found.items()}

    @override
    async def drop_before(self, place: Place, offset: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(*place): RecordsToDelete(offset)}, timeout_ms=5_000)
        finally:
            await admin.close()


@dataclass
class Group:
    """A listener that notes what it is told and, where `holds` is set, lets rebalances wait for `let_go`."""

    holds: bool = False
    assigned_to: list[frozenset[Place]] = field(default_factory=list)
    revoked_from: list[frozenset[Place]] = field(default_factory=list)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def revoked(self, places: frozenset[Place]) -> None:
        self.revoked_from.append(places)
        if self.holds:
            await self.let_go.wait()

    def assigned(self, places: frozenset[Place]) -> None:
        self.assigned_to.append(places)


def new_topic() -> str:
    return f"contract-{uuid4().hex[:12]}"


def outgoing(topic: str, count: int, *, key: bytes | None = None) -> list[Outgoing]:
    """Records that differ in their values; with a key of their own each, unless one is given."""
    return [
        Outgoing(
            topic,
            key if key is not None else b"%d" % number,
            b"value %d" % number,
            [("ce_id", b"%d" % number)],
        )
        for number in range(count)
    ]


async def read(consumer: Consumer, count: int) -> list[Record]:
    """Fetch until there are `count` records, with a deadline."""
    records: list[Record] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(records) < count:
            records += await consumer.fetch(max_records=1_000, max_bytes=1_000_000, wait_s=0.5)
    return records


def in_place(records: Sequence[Record], place: Place) -> list[Record]:
    return [record for record in records if record.place == place]
