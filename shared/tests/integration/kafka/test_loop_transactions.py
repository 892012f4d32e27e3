"""A foreign producer with transactions: the broker notes their ends in the log, between the records and after them."""

from typing import override

import pytest
from aiokafka import AIOKafkaProducer

from tillstream.kafka.aio import AioConsumer
from tillstream.kafka.records import Place
from tillstream.testing.waiting import eventually

from .stations import DEADLINE_S, Station

pytestmark = pytest.mark.integration

TRANSACTIONS, RECORDS = 3, 5
STANDING = "SELECT next_offset, log_end FROM shop.partition_progress WHERE kafka_partition = 0"
AT_THE_END = (TRANSACTIONS * (RECORDS + 1), TRANSACTIONS * (RECORDS + 1))


async def write_transactions(station: Station) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=station.bootstrap, transactional_id=station.topic)
    await producer.start()
    try:
        for _ in range(TRANSACTIONS):
            async with producer.transaction():
                for _ in range(RECORDS):
                    await producer.send(station.topic, b"v", partition=0)
    finally:
        await producer.stop()


async def test_the_offset_comes_to_the_end_of_a_log_that_ends_with_a_note(station: Station) -> None:
    await write_transactions(station)
    async with station.worker():

        async def at_the_end() -> bool:
            return await station.ledger.execute(STANDING) == [AT_THE_END]

        await eventually(at_the_end, DEADLINE_S)
        assert await station.ledger.count() == TRANSACTIONS * RECORDS
        await write_transactions(station)
        await station.ledger.holds(2 * TRANSACTIONS * RECORDS)
    assert await station.ledger.count() == 2 * TRANSACTIONS * RECORDS


async def test_a_successor_goes_on_behind_a_note(station: Station) -> None:
    """Where the last record applied should lie, there is none: it lies before the note."""
    await write_transactions(station)

    async def at_the_end() -> bool:
        return list((await station.ledger.next_offsets(station.topic)).values())[:1] == [AT_THE_END[0]]

    async with station.worker():
        await eventually(at_the_end, DEADLINE_S)
    async with station.worker() as successor:
        await eventually(lambda: successor.watch.owned)
        await write_transactions(station)
        await station.ledger.holds(2 * TRANSACTIONS * RECORDS)
        assert not successor.task.done()
    assert await station.ledger.count() == 2 * TRANSACTIONS * RECORDS


class Blind(AioConsumer):
    """Planted: it does not say that it passed anything over."""

    @override
    async def passed_over(self) -> dict[Place, tuple[int, int]]:
        return {}


async def test_else_a_note_would_look_like_a_record_that_is_never_applied(station: Station) -> None:
    await write_transactions(station)
    async with station.worker(consumer=Blind):
        await station.ledger.holds(TRANSACTIONS * RECORDS)

        async def measured() -> bool:
            rows = await station.ledger.execute(STANDING)
            return rows == [(AT_THE_END[0] - 1, AT_THE_END[1])]

        await eventually(measured, DEADLINE_S)
