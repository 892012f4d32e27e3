"""Batches that PostgreSQL ends for the time they take, on a real broker and a real database."""

from collections.abc import Sequence
from typing import override

import pytest
from psycopg import AsyncConnection

from tillstream.kafka import consumer_loop
from tillstream.kafka.batch_size import BatchSize
from tillstream.kafka.records import Record
from tillstream.kafka.steps import BatchResult, Steps
from tillstream.testing.waiting import eventually

from .stations import DEADLINE_S, Station, write

pytestmark = pytest.mark.integration

RECORDS = 300
TIME_OUT = "300ms"
WORK = "SELECT pg_sleep(0.004 * %s)"  # 1.2 s for all of them; 75 are in time
LIMITS = pytest.mark.parametrize("limit", ["statement_timeout", "transaction_timeout"])


def slow(limit: str) -> Steps:
    """A handler that takes longer for more records, under a short limit."""

    async def handle(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        for value in ("0", TIME_OUT):  # a limit that runs already is not changed, only ended and begun
            await conn.execute(f"SET LOCAL {limit} = '{value}'".encode())
        await conn.execute(WORK, [len(records)])
        return await write(conn, records)

    return Steps(handle)


@LIMITS
async def test_a_batch_that_takes_too_long_is_applied_in_smaller_ones(station: Station, limit: str) -> None:
    await station.publish(RECORDS)
    async with station.worker(slow(limit)) as worker:
        assert await station.drained() == []
        assert worker.watch.waits
        assert max(worker.watch.batches) < RECORDS


class Stubborn(BatchSize):
    """Planted: the same batch again, however often it was too much."""

    @override
    def timed_out(self, records: int) -> None:
        self.records = records


@LIMITS
async def test_a_loop_that_does_not_halve_never_gets_on(
    station: Station, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_loop, "BatchSize", Stubborn)
    await station.publish(RECORDS)
    async with station.worker(slow(limit)) as worker:
        await eventually(lambda: len(worker.watch.waits) >= 5, DEADLINE_S)
        assert await station.ledger.count() == 0
