"""The consumer loop on a real broker and a real database: batches, and partitions that change hands."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import override

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from psycopg import AsyncConnection

from tillstream.kafka.aio import AioConsumer
from tillstream.kafka.fence import Fence, Move
from tillstream.kafka.records import Place, Record
from tillstream.kafka.steps import BatchResult, Steps
from tillstream.testing.waiting import eventually

from .stations import DEADLINE_S, PARTITIONS, QUICK_LOOP, Ledger, Station, write

pytestmark = pytest.mark.integration

STEAL = """
UPDATE shop.consumer_offsets SET epoch = epoch + 1, owner = 'thief', owner_pid = NULL
WHERE topic = %s AND kafka_partition = 3
"""
STOPPED = "SELECT stop_reason FROM shop.partition_progress WHERE stopped_at IS NOT NULL"
LAG = "SELECT log_end - next_offset FROM shop.partition_progress WHERE kafka_partition = %s"
RESUME = "UPDATE shop.partition_progress SET stopped_at = NULL, stop_reason = NULL"
COMPLETE_THROUGH = "SELECT complete_through FROM shop.partition_progress WHERE kafka_partition = %s"
REWIND = "UPDATE shop.consumer_offsets SET next_offset = 0, epoch = epoch + 1 WHERE topic = %s"


async def test_a_batch_over_twelve_partitions_is_applied_once(station: Station) -> None:
    await station.publish(600)
    batches: list[int] = []

    async def noting(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        batches.append(len({record.partition for record in records}))
        return await write(conn, records)

    async with station.worker(Steps(noting)):
        assert await station.drained() == []
    assert PARTITIONS in batches
    assert sum((await station.ledger.next_offsets(station.topic)).values()) == 600


async def test_what_comes_while_it_runs_is_applied_in_order(station: Station) -> None:
    async with station.worker() as worker:
        await eventually(lambda: len(worker.watch.owned) == PARTITIONS)
        for _ in range(5):
            await station.publish(50)
        assert await station.drained() == []
    rows = await station.ledger.execute(
        "SELECT kafka_partition, kafka_offset FROM public.ledger ORDER BY ctid"
    )
    for partition in range(PARTITIONS):
        offsets = [offset for number, offset in rows if number == partition]
        assert offsets == list(range(len(offsets)))


class Thief:
    """Takes one partition while the first batch that has it is being written."""

    def __init__(self, ledger: Ledger, topic: str) -> None:
        self._ledger = ledger
        self._topic = topic
        self.struck = False

    async def handle(self, conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        result = await write(conn, records)
        if not self.struck and any(record.partition == 3 for record in records):
            self.struck = True
            await self._ledger.execute(STEAL, self._topic)
        return result


async def test_a_batch_with_a_lost_partition_is_rolled_back_and_the_rest_applied_once(
    station: Station,
) -> None:
    await station.publish(600)
    thief = Thief(station.ledger, station.topic)
    mine = [place for place in station.sent if place.partition != 3]
    async with station.worker(Steps(thief.handle)) as worker:
        await station.ledger.holds(len(mine))
        assert await station.ledger.problems(mine) == []
        assert worker.watch.lost == {Place(station.topic, 3)}
    assert (await station.ledger.next_offsets(station.topic))[3] == 0


async def test_without_the_fence_the_loss_would_go_unnoticed(station: Station) -> None:
    """The check above turns red for a loop that does not look at what its fence says."""
    fence = Fence()

    async def blind(conn: AsyncConnection, moves: Mapping[Place, Move]) -> set[Place]:
        await fence.advance(conn, moves)
        return set(moves)

    await station.publish(600)
    thief = Thief(station.ledger, station.topic)
    mine = [place for place in station.sent if place.partition != 3]
    async with station.worker(Steps(thief.handle, advance=blind)):
        await station.ledger.holds(600)
    assert await station.ledger.problems(mine) != []


async def test_a_lost_partition_that_nobody_works_on_is_taken_back(station: Station) -> None:
    await station.publish(600)
    thief = Thief(station.ledger, station.topic)
    async with station.worker(Steps(thief.handle), policy=replace(QUICK_LOOP, retake_s=0.1)):
        assert await station.drained() == []


async def test_a_rewound_partition_is_read_again_from_there(station: Station) -> None:
    await station.publish(60)
    async with station.worker(policy=replace(QUICK_LOOP, retake_s=0.1)) as worker:
        await station.ledger.holds(60)
        await station.ledger.execute(REWIND, station.topic)
        await station.publish(60)
        await station.ledger.holds(60 + 120)
        assert not worker.task.done()
    assert sum((await station.ledger.next_offsets(station.topic)).values()) == 120


async def test_two_workers_share_and_nothing_is_doubled(station: Station) -> None:
    async with station.worker() as one:
        await eventually(lambda: len(one.watch.owned) == PARTITIONS)
        sending = asyncio.create_task(keep_sending(station, 10))
        async with station.worker() as other:
            await eventually(lambda: len(one.watch.owned) == len(other.watch.owned) == PARTITIONS // 2)
            await sending
            assert await station.drained() == []
        await eventually(lambda: len(one.watch.owned) == PARTITIONS, DEADLINE_S)
        await station.publish(120)
        assert await station.drained() == []
        assert one.watch.waits == other.watch.waits == []


async def keep_sending(station: Station, times: int) -> None:
    for _ in range(times):
        await station.publish(60)


async def test_a_stopped_partition_waits_until_it_is_resumed(station: Station) -> None:
    """The handler stops it with its batch; an operator resumes it by clearing the columns."""
    await station.publish(240)

    async def strict(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        result = await write(conn, records)
        bad = [record.place for record in records if record.partition == 5 and record.offset == 0]
        return BatchResult(stop=dict.fromkeys(bad, "too many rejects")) if bad else result

    async with station.worker(Steps(strict)):
        assert await station.drained() == []
        await station.publish(240)
        running = [place for place in station.sent if place.partition != 5]
        await station.ledger.holds(len(running))
        await eventually(lambda: lag_of(station, 5))
        assert await station.ledger.execute(STOPPED) == [("too many rejects",)]
        assert await station.ledger.count() < len(station.sent)
        await station.ledger.execute(RESUME)
        assert await station.drained() == []


async def lag_of(station: Station, partition: int) -> int:
    rows = await station.ledger.execute(LAG, partition)
    return int(str(rows[0][0])) if rows else 0


async def test_readers_and_lag_tools_learn_how_far_it_is(station: Station) -> None:
    await station.publish(240)
    async with station.worker():
        assert await station.drained() == []
        await eventually(lambda: measured(station, 240))
    told = await told_to_kafka(station)
    assert {place.partition: offset for place, offset in told.items()} == await station.ledger.next_offsets(
        station.topic
    )
    [(stored, last_id)] = await station.ledger.execute(
        "SELECT count(last_stored_at), count(last_record_id) FROM shop.partition_progress"
        " JOIN shop.consumer_offsets USING (topic, kafka_partition)"
    )
    assert stored == last_id == PARTITIONS


async def test_what_is_acknowledged_after_kafka_was_asked_is_not_called_complete(station: Station) -> None:
    all_applied = asyncio.Event()
    acknowledged_at: list[datetime] = []
    claims: list[object] = []

    class Overtaken(AioConsumer):
        """Records are acknowledged after Kafka's answer and before the loop has it."""

        @override
        async def log_ends(self, places: Collection[Place]) -> dict[Place, int]:
            ends = await super().log_ends(places)
            if all_applied.is_set() and not acknowledged_at:
                await station.publish(120)
                acknowledged_at.append(datetime.now(UTC))
            return ends

    async def noting(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        if acknowledged_at and not claims:
            found = await conn.execute(COMPLETE_THROUGH, [records[0].partition])
            claims.extend(await found.fetchone() or ())
        return await write(conn, records)

    async with station.worker(Steps(noting), consumer=Overtaken):
        await station.publish(120)
        assert await station.drained() == []
        all_applied.set()
        await eventually(lambda: bool(claims))
    [claimed] = claims
    assert isinstance(claimed, datetime)
    assert claimed < acknowledged_at[0]


async def measured(station: Station, records: int) -> bool:
    found = await station.ledger.execute("SELECT sum(next_offset), sum(log_end) FROM shop.partition_progress")
    return found == [(records, records)]


async def told_to_kafka(station: Station) -> dict[Place, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=station.bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(station.group)
    finally:
        await admin.close()
    return {Place(*partition): told.offset for partition, told in found.items()}
