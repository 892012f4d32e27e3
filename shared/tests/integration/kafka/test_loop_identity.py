"""The loop on a log that is not the one it applied; Kafka in memory, where a log can be made anew between two fetches."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import override
from uuid import UUID

import pytest

from support.postgres import Database
from tillstream.clock import SystemClock
from tillstream.errors import BrokerUnavailable, Misconfigured
from tillstream.kafka.memory import MemoryBroker, MemoryConsumer
from tillstream.kafka.records import Outgoing, Place
from tillstream.testing.waiting import eventually

from .stations import DEADLINE_S, Ledger, Noted, loop_in_memory

pytestmark = [pytest.mark.integration, pytest.mark.fault]

PLACE = Place("toy", 0)


@dataclass
class Toy:
    """One partition, and loops that come one after the other."""

    broker: MemoryBroker
    ledger: Ledger
    dsn: str

    async def append(self, *values: str) -> None:
        self.put(*values)
        await self.broker.wake()

    def put(self, *values: str) -> None:
        for value in values:
            self.broker.put(PLACE, Outgoing("toy", b"k", value.encode(), [("ce_id", value.encode())]))

    async def applied(self) -> list[str]:
        rows = await self.ledger.execute("SELECT value FROM public.ledger ORDER BY kafka_offset")
        return [str(value) for (value,) in rows]

    async def goes_on_to(self, *values: str) -> None:
        async def there() -> bool:
            return await self.applied() == list(values)

        await eventually(there, DEADLINE_S)

    @asynccontextmanager
    async def running(
        self, consumer: type[MemoryConsumer] = MemoryConsumer
    ) -> AsyncIterator[tuple["asyncio.Task[None]", Noted]]:
        watch, stop = Noted(), asyncio.Event()
        loop = loop_in_memory(consumer(self.broker, group="toy"), self.dsn, watch)
        task = asyncio.create_task(loop.run(stop), name="toy")
        try:
            yield task, watch
        finally:
            stop.set()
            await asyncio.wait({task}, timeout=DEADLINE_S)
            assert task.done()

    async def refusal(self) -> str:
        """What the next loop ends with."""
        async with self.running() as (task, _):
            await asyncio.wait({task}, timeout=DEADLINE_S)
        with pytest.raises(Misconfigured) as raised:
            task.result()
        return str(raised.value)


@pytest.fixture
async def toy(database: Database) -> Toy:
    """Three records are applied, and the loop that did so has ended."""
    broker, ledger = MemoryBroker(SystemClock()), Ledger(database)
    broker.create_topic("toy", 1)
    await ledger.create()
    toy = Toy(broker, ledger, database.worker_dsn)
    await toy.append("a", "b", "c")
    async with toy.running() as (task, _):
        await toy.goes_on_to("a", "b", "c")
    task.result()
    return toy


async def test_a_topic_made_anew_is_refused_also_where_it_reaches_further(toy: Toy) -> None:
    toy.broker.create_topic("toy", 1)
    await toy.append("x", "y", "z", "more")
    assert "`tillstream partitions accept toy --from earliest`" in await toy.refusal()
    assert await toy.applied() == ["a", "b", "c"]


async def test_a_topic_made_anew_under_a_loop_that_fetches_on_is_refused(toy: Toy) -> None:
    """No fetch fails, since there is no moment at which the offset is not in the log."""
    async with toy.running() as (task, _):
        await toy.append("d")
        await toy.goes_on_to("a", "b", "c", "d")  # from here on nobody waits to see the last record again
        toy.broker.create_topic("toy", 1)
        toy.put("w", "x", "y", "z")
        await asyncio.wait({task}, timeout=DEADLINE_S)
        assert task.done()
    with pytest.raises(Misconfigured, match="toy was read from the topic of id"):
        task.result()


async def test_a_topic_that_is_gone_is_said_so_until_it_is_back(toy: Toy) -> None:
    async with toy.running() as (task, watch):
        await eventually(lambda: watch.owned)
        toy.broker.delete_topic("toy")
        await eventually(lambda: watch.waits.count("kafka") > 1)
        assert not task.done()


class OneIsGone(MemoryConsumer):
    """Another topic than those whose logs it reads: taking these over asks for these only, and comes first."""

    asked = 0

    @override
    async def topic_ids(self, topics: Collection[str]) -> dict[str, UUID]:
        self.asked += 1
        if self.asked > 1:
            raise BrokerUnavailable("Kafka has no topic other now.")
        return await super().topic_ids(topics)


async def test_while_one_topic_is_gone_the_others_are_measured(toy: Toy) -> None:
    async def measured_again() -> bool:
        rows = await toy.ledger.execute("SELECT next_offset, log_end FROM shop.partition_progress")
        return rows == [(4, 4)]

    async with toy.running(OneIsGone) as (task, watch):
        await toy.append("d")
        await eventually(measured_again, DEADLINE_S)
        await eventually(lambda: "kafka" in watch.waits, DEADLINE_S)
        assert not task.done()


async def test_the_last_record_is_not_applied_again(toy: Toy) -> None:
    async with toy.running() as (task, watch):
        await eventually(lambda: watch.owned)
        await toy.append("d")
        await toy.goes_on_to("a", "b", "c", "d")
        assert not task.done()
    assert watch.batches == [1]


async def test_a_log_that_was_cut_and_written_anew_is_refused(toy: Toy) -> None:
    """The topic is the same one, and its log reaches as far as before and further."""
    toy.broker.cut_from(PLACE, 1)
    await toy.append("x", "y", "more")
    refusal = await toy.refusal()
    assert "toy[0] was read up to offset 2, where the record was c of" in refusal
    assert "`tillstream partitions accept toy 0 --from earliest`" in refusal
    assert await toy.applied() == ["a", "b", "c"]


async def test_a_stopped_partition_is_compared_once_it_is_resumed(toy: Toy) -> None:
    await toy.ledger.execute("UPDATE shop.partition_progress SET stopped_at = now(), stop_reason = 'a test'")
    async with toy.running() as (task, watch):
        await eventually(lambda: watch.owned)
        toy.broker.cut_from(PLACE, 1)
        await toy.append("x", "y", "more")
        await toy.ledger.execute("UPDATE shop.partition_progress SET stopped_at = NULL, stop_reason = NULL")
        await asyncio.wait({task}, timeout=DEADLINE_S)
        assert task.done()
    with pytest.raises(Misconfigured, match="written anew"):
        task.result()
    assert await toy.applied() == ["a", "b", "c"]


async def test_where_retention_took_the_last_record_there_is_nothing_to_compare(toy: Toy) -> None:
    await toy.append("d")
    toy.broker.drop_before(PLACE, 3)
    async with toy.running() as (task, _):
        await toy.goes_on_to("a", "b", "c", "d")
        assert not task.done()


async def test_a_broker_without_topic_ids_is_believed(toy: Toy) -> None:
    toy.broker.knows_topic_ids = False
    await toy.append("d")
    async with toy.running() as (task, _):
        await toy.goes_on_to("a", "b", "c", "d")
        assert not task.done()
