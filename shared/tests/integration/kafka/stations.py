"""A toy composition root around the consumer loop: what it applies is a row per record, so that every mistake shows."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import override
from uuid import uuid4

import psycopg
from psycopg import AsyncConnection

from support.postgres import Database
from tillstream.clock import SystemClock
from tillstream.contracts.topics import TOPIC_CONFIG, TopicSpec
from tillstream.db.connections import connect
from tillstream.errors import TillstreamError
from tillstream.kafka.aio import AioConsumer, AioProducer, ConsumerPolicy
from tillstream.kafka.consumer_loop import ConsumerLoop
from tillstream.kafka.memory import MemoryConsumer
from tillstream.kafka.policy import LoopPolicy
from tillstream.kafka.records import Outgoing, Place, Record
from tillstream.kafka.steps import BatchResult, Steps
from tillstream.kafka.topics import ensure_topics
from tillstream.kafka.waiting import Backoff
from tillstream.kafka.watch import LoopWatch
from tillstream.testing.waiting import eventually

DEADLINE_S = 20.0
PARTITIONS = 12
QUICK_CONSUMER = ConsumerPolicy(session_s=2.0, heartbeat_s=0.2, rebalance_s=5.0, request_s=10.0, answer_s=1.0)
QUICK_LOOP = LoopPolicy(
    fetch_wait_s=0.05,
    measure_every_s=0.1,
    backoff=Backoff(first_s=0.02, cap_s=0.3),
    rebalance_patience_s=3.0,
    retake_s=60.0,
    drain_s=3.0,
    leave_s=3.0,
)
CREATE_LEDGER = """
CREATE TABLE public.ledger (topic text, kafka_partition int, kafka_offset bigint, value text);
GRANT SELECT, INSERT ON public.ledger TO tillstream_worker
"""
WRITE = "COPY public.ledger (topic, kafka_partition, kafka_offset, value) FROM STDIN"

Connect = Callable[[], Awaitable[AsyncConnection]]


async def write(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
    """The toy handler: one row per record, and no thought of duplicates."""
    async with conn.cursor().copy(WRITE) as copy:
        for record in records:
            await copy.write_row(
                (record.topic, record.partition, record.offset, (record.value or b"").decode())
            )
    return BatchResult()


class Ledger:
    """Reads what the toy wrote, past the worker's role."""

    def __init__(self, database: Database) -> None:
        self._dsn = database.superuser_dsn

    async def create(self) -> None:
        await self.execute(CREATE_LEDGER)

    async def execute(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        async with await AsyncConnection.connect(self._dsn, autocommit=True) as conn:
            done = await conn.execute(statement.encode(), parameters or None)
            return await done.fetchall() if done.description else []

    async def count(self) -> int:
        [(count,)] = await self.execute("SELECT count(*) FROM public.ledger")
        assert isinstance(count, int)
        return count

    async def holds(self, count: int) -> None:
        """Wait until that many rows are there, and say how many there were if not."""

        async def enough() -> bool:
            return await self.count() >= count

        await eventually(enough, DEADLINE_S)

    async def problems(self, sent: Sequence[Place]) -> list[str]:
        """What is missing, doubled, out of order or not from the log; `sent` has a place per record published."""
        found = await self.execute(
            "SELECT topic, kafka_partition, kafka_offset FROM public.ledger ORDER BY ctid"
        )
        seen = Counter((str(topic), partition, offset) for topic, partition, offset in found)
        sizes = Counter(sent)
        expected = {(place.topic, place.partition, at) for place, size in sizes.items() for at in range(size)}
        problems = [f"missing: {one}" for one in sorted(expected - seen.keys())]
        problems += [f"{times} times: {one}" for one, times in sorted(seen.items(), key=str) if times > 1]
        return problems + [f"from nowhere: {one}" for one in sorted(seen.keys() - expected, key=str)]

    async def next_offsets(self, topic: str) -> dict[int, int]:
        rows = await self.execute(
            "SELECT kafka_partition, next_offset FROM shop.consumer_offsets WHERE topic = %s", topic
        )
        return {int(str(partition)): int(str(offset)) for partition, offset in rows}


@dataclass
class Noted(LoopWatch):
    """What the loop reports, noted down."""

    waits: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    lost: set[Place] = field(default_factory=set)
    owned: set[Place] = field(default_factory=set)

    @override
    def waiting(self, server: str, problem: str) -> None:
        self.waits.append(server)

    @override
    def reached(self, server: str) -> None:
        self.back.append(server)

    @override
    def committed(self, records: int, seconds: float) -> None:
        self.batches.append(records)

    @override
    def fenced(self, places: object) -> None:
        assert isinstance(places, frozenset)
        self.lost |= places

    @override
    def taken_over(self, places: object) -> None:
        assert isinstance(places, frozenset)
        self.owned = set(places)


@dataclass
class Worker:
    """One loop, as a process would run it, and how it ended."""

    loop: ConsumerLoop
    watch: Noted
    stop: asyncio.Event
    task: "asyncio.Task[None]"


class Station:
    """One topic, one ledger, and as many workers as a test wants."""

    def __init__(self, bootstrap: str, database: Database) -> None:
        self.bootstrap = bootstrap
        self.database = database
        self.topic = f"loop-{uuid4().hex[:12]}"
        self.group = self.topic
        self.ledger = Ledger(database)
        self.sent: list[Place] = []

    async def open(self, partitions: int = PARTITIONS) -> None:
        spec = TopicSpec(self.topic, partitions, TOPIC_CONFIG)
        await ensure_topics(self.bootstrap, [spec], deadline_s=DEADLINE_S)
        await self.ledger.create()

    async def publish(self, count: int) -> None:
        """That many records, spread over all partitions, each acknowledged."""
        producer = AioProducer(self.bootstrap, client_id="station")
        await producer.start()
        try:
            records = [
                Outgoing(self.topic, b"%d" % n, b"%d" % n, [("ce_id", b"%d" % n)]) for n in range(count)
            ]
            results = await producer.publish(records, DEADLINE_S)
        finally:
            await producer.stop()
        assert all(result.acknowledged for result in results)
        self.sent += [
            Place(self.topic, result.partition) for result in results if result.partition is not None
        ]

    def connect(self, dsn: str = "") -> Connect:
        return lambda: connect(dsn or self.database.worker_dsn, application_name="toy")

    @asynccontextmanager
    async def worker(
        self,
        steps: Steps | None = None,
        *,
        dsn: str = "",
        group: str = "",
        policy: LoopPolicy = QUICK_LOOP,
        consumer: type[AioConsumer] = AioConsumer,
    ) -> AsyncIterator[Worker]:
        """A loop that runs in this process until the block ends; how it ended is the task's result."""
        watch = Noted()
        loop = ConsumerLoop(
            consumer(self.bootstrap, group=group or self.group, client_id="toy", policy=QUICK_CONSUMER),
            self.connect(dsn),
            steps or Steps(write),
            topics=[self.topic],
            owner="toy",
            clock=SystemClock(),
            watch=watch,
            policy=policy,
        )
        stop = asyncio.Event()
        task = asyncio.create_task(loop.run(stop), name="worker")
        try:
            yield Worker(loop, watch, stop, task)
        finally:
            stop.set()
            await asyncio.wait({task}, timeout=DEADLINE_S)
            assert task.done(), "the worker did not stop"
            if (
                not task.cancelled()
                and (error := task.exception())
                and not isinstance(error, (TillstreamError, Crash))
            ):
                raise error

    async def drained(self) -> list[str]:
        """Wait until everything sent is in the ledger, and say what is wrong with it."""
        await self.ledger.holds(len(self.sent))
        return await self.ledger.problems(self.sent)


def loop_in_memory(
    consumer: MemoryConsumer, dsn: str, watch: LoopWatch | None = None, policy: LoopPolicy = QUICK_LOOP
) -> ConsumerLoop:
    """The toy's loop on Kafka in memory, where a broker does at once what a test wants; its topic is `toy`."""
    return ConsumerLoop(
        consumer,
        lambda: connect(dsn, application_name="toy"),
        Steps(write),
        topics=["toy"],
        owner="toy",
        clock=SystemClock(),
        watch=watch or Noted(),
        policy=policy,
    )


class Crash(Exception):
    """Raised by a test inside a step: the process ends there."""


def crashing() -> Crash:
    return Crash("the process ends here")


async def sessions_of(database: Database, name: str) -> int:
    """How many sessions of that application name there are."""
    async with await psycopg.AsyncConnection.connect(database.superuser_dsn) as conn:
        counted = await conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]
        )
        row = await counted.fetchone()
    assert row is not None
    return int(row[0])
