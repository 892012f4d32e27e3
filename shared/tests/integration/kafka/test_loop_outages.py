"""Servers go away and come back; the loop waits, says so, and goes on alone."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace

import pytest
from psycopg import AsyncConnection

from support.kafka import KafkaServer
from support.ports import free_port
from support.postgres import Database, PostgresServer
from tillstream.clock import SystemClock
from tillstream.errors import BrokerUnavailable, DatabaseUnavailable, Misconfigured, Stalled
from tillstream.kafka import stall
from tillstream.kafka.cluster import ask_log_ends
from tillstream.kafka.memory import MemoryBroker, MemoryConsumer
from tillstream.kafka.rebalance import Rebalance
from tillstream.kafka.records import Outgoing, Place, Record
from tillstream.kafka.steps import BatchResult, Steps
from tillstream.testing.waiting import eventually

from .stations import DEADLINE_S, PARTITIONS, QUICK_LOOP, Ledger, Noted, Station, loop_in_memory, write

pytestmark = [pytest.mark.integration, pytest.mark.fault]


@pytest.fixture
async def broker(kafka_server: KafkaServer) -> AsyncIterator[KafkaServer]:
    """The session's broker, which is up again afterwards whatever happens here."""
    yield kafka_server
    if kafka_server.pid is None:
        await asyncio.to_thread(kafka_server.start)


async def test_a_broker_that_stops_and_starts_costs_nothing(station: Station, broker: KafkaServer) -> None:
    await station.publish(120)
    async with station.worker() as worker:
        assert await station.drained() == []
        await asyncio.to_thread(broker.stop)
        await eventually(lambda: "kafka" in worker.watch.waits, DEADLINE_S)
        await asyncio.to_thread(broker.start)
        await station.publish(120)
        assert await station.drained() == []
        await eventually(lambda: "kafka" in worker.watch.back)
        assert not worker.task.done()


async def test_a_database_that_stops_and_starts_costs_nothing(
    station: Station, postgres_server: PostgresServer
) -> None:
    await station.publish(120)
    async with station.worker() as worker:
        assert await station.drained() == []
        await asyncio.to_thread(postgres_server.stop)
        await station.publish(120)
        await eventually(lambda: worker.watch.waits.count("postgres") > 2, DEADLINE_S)
        await asyncio.to_thread(postgres_server.start)
        assert await station.drained() == []
        await eventually(lambda: "postgres" in worker.watch.back)


async def test_a_database_that_is_killed_in_a_batch_loses_and_doubles_nothing(
    station: Station, postgres_server: PostgresServer
) -> None:
    await station.publish(120)
    struck = asyncio.Event()

    async def strike(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        result = await write(conn, records)
        if not struck.is_set():
            await asyncio.to_thread(postgres_server.kill)
            await asyncio.to_thread(postgres_server.start)
            struck.set()
        return result

    async with station.worker(Steps(strike)):
        await struck.wait()
        assert await station.drained() == []


async def test_a_worker_that_starts_without_its_servers_waits_for_them(
    database: Database, postgres_server: PostgresServer
) -> None:
    """Kafka in memory: a real broker's stop and start are shown above."""
    broker, ledger, watch = MemoryBroker(SystemClock()), Ledger(database), Noted()
    broker.create_topic("toy", 2)
    await broker.append(Place("toy", 1), Outgoing("toy", b"k", b"v"))
    await ledger.create()
    broker.up = False
    await asyncio.to_thread(postgres_server.stop)
    loop = loop_in_memory(MemoryConsumer(broker, group="toy"), database.worker_dsn, watch)
    stop = asyncio.Event()
    running = asyncio.create_task(loop.run(stop))
    await eventually(lambda: watch.waits.count("kafka") > 1)
    broker.up = True
    await eventually(lambda: watch.waits.count("postgres") > 1)
    await asyncio.to_thread(postgres_server.start)
    await ledger.holds(1)
    stop.set()
    await running
    assert await ledger.problems([Place("toy", 1)]) == []


async def test_a_rebalance_does_not_wait_for_a_database_that_is_away(
    station: Station, postgres_server: PostgresServer
) -> None:
    async with station.worker() as one:
        await eventually(lambda: len(one.watch.owned) == PARTITIONS)
        await asyncio.to_thread(postgres_server.stop)
        await eventually(lambda: "postgres" in one.watch.waits)
        async with station.worker() as other:
            await eventually(lambda: "postgres" in other.watch.waits)
            await asyncio.to_thread(postgres_server.start)
            await eventually(
                lambda: len(one.watch.owned) == len(other.watch.owned) == PARTITIONS // 2, DEADLINE_S
            )
            await station.publish(120)
            assert await station.drained() == []


async def test_a_full_disk_is_waited_for_and_told(station: Station) -> None:
    await station.publish(60)
    left = [DatabaseUnavailable("planted: no space left")] * 3

    async def full(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        if left:
            raise left.pop()
        return await write(conn, records)

    async with station.worker(Steps(full)) as worker:
        assert await station.drained() == []
        assert worker.watch.waits == ["postgres"] * 3


async def test_a_topic_that_was_made_anew_is_refused_loudly(station: Station) -> None:
    """The fence knows more records than the log has."""
    await station.publish(60)
    async with station.worker():
        assert await station.drained() == []
    await station.ledger.execute(
        "UPDATE shop.consumer_offsets SET next_offset = next_offset + 1000 WHERE topic = %s", station.topic
    )
    async with station.worker() as worker:
        await asyncio.wait({worker.task}, timeout=DEADLINE_S)
        assert isinstance(worker.task.exception(), Misconfigured)


async def test_another_cluster_is_refused_loudly(station: Station) -> None:
    async with station.worker() as worker:
        await eventually(lambda: Place(station.topic, 0) in worker.watch.owned)
    await station.ledger.execute(
        "UPDATE shop.consumer_offsets SET cluster_id = 'another' WHERE topic = %s", station.topic
    )
    async with station.worker() as worker:
        await asyncio.wait({worker.task}, timeout=DEADLINE_S)
        assert isinstance(worker.task.exception(), Misconfigured)


async def test_a_client_that_delivers_nothing_although_there_is_something_ends_the_loop(
    database: Database,
) -> None:
    """Without this check it would wait for ever, without an error and without a log line."""
    broker = MemoryBroker(SystemClock())
    broker.create_topic("toy", 2)
    broker.silent = True
    await broker.append(Place("toy", 1), Outgoing("toy", b"k", b"v"))
    impatient = replace(QUICK_LOOP, lagging_s=0.3)
    loop = loop_in_memory(MemoryConsumer(broker, group="toy"), database.worker_dsn, policy=impatient)
    with pytest.raises(Stalled):
        await asyncio.wait_for(loop.run(asyncio.Event()), DEADLINE_S)


async def test_a_member_in_reserve_is_ready_again_after_an_outage(
    station: Station, postgres_server: PostgresServer
) -> None:
    """It has no partition, so nothing but its connection can tell."""
    broker, watch = MemoryBroker(SystemClock()), Noted()
    broker.create_topic("toy", 1)
    owner, reserve = MemoryConsumer(broker, group="toy"), MemoryConsumer(broker, group="toy")
    await owner.start(["toy"], Rebalance(0.0))
    loop = loop_in_memory(reserve, station.database.worker_dsn, watch)
    await asyncio.to_thread(postgres_server.stop)
    stop = asyncio.Event()
    running = asyncio.create_task(loop.run(stop))
    await eventually(lambda: "postgres" in watch.waits)
    await asyncio.to_thread(postgres_server.start)
    await eventually(lambda: "postgres" in watch.back)
    assert not watch.owned
    stop.set()
    await running
    await owner.stop(1.0)


async def test_another_client_finds_nobody_either_where_nobody_is() -> None:
    with pytest.raises(BrokerUnavailable):
        await ask_log_ends(f"127.0.0.1:{free_port()}", "anew", [Place("toy", 0)], DEADLINE_S)


class Deaf(MemoryConsumer):
    """Kafka answers whoever asks by another connection, and brings records; this client hears nothing else any more."""

    def __init__(self, broker: MemoryBroker, *, hears: int) -> None:
        super().__init__(broker, group="toy")
        self._hears = hears

    async def log_ends(self, places: Collection[Place]) -> dict[Place, int]:
        self._hears -= 1
        if self._hears < 0:
            raise BrokerUnavailable("Kafka did not answer.")
        return await super().log_ends(places)


@pytest.mark.parametrize("hears", [0, 1], ids=["while it takes over", "while it measures"])
async def test_a_client_that_alone_hears_nothing_ends_the_loop(
    database: Database, monkeypatch: pytest.MonkeyPatch, hears: int
) -> None:
    """aiokafka's was seen so after connections were reset; it waited for ever, and the process was never ready again."""
    monkeypatch.setattr(stall, "OTHERS_ANSWERED_S", 0.3)
    broker = MemoryBroker(SystemClock())
    broker.create_topic("toy", 2)
    loop = loop_in_memory(Deaf(broker, hears=hears), database.worker_dsn)
    with pytest.raises(Stalled, match="not this process's client"):
        async with asyncio.timeout(DEADLINE_S):
            await loop.run(asyncio.Event())
