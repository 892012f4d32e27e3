"""A chunk that PostgreSQL ends for the time it takes is loaded in smaller ones."""

from collections.abc import Sequence
from dataclasses import replace
from typing import override

import pytest
from psycopg import AsyncConnection

from etl_worker.file_loader import write_chunk
from etl_worker.file_loader.app import Ports
from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.contracts.messages import Message
from tillstream.errors import TransactionTimedOut
from tillstream.kafka.batch_size import BatchSize

from .conftest import CHUNK_ROWS, Shop

pytestmark = pytest.mark.integration

ROWS = 3 * CHUNK_ROWS
USERS = b"user_id,name,email,signup_date\n" + b"".join(
    b"%d,Ann,ann%d@example.org,2024-01-05\n" % (n, n) for n in range(1, ROWS + 1)
)


def slow(ports: Ports) -> Ports:
    """Only a chunk of one row is in time."""

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        if len(messages) > 1:
            await conn.execute("SET LOCAL statement_timeout = '10ms'")
            await conn.execute("SELECT pg_sleep(10)")
        return await Engine().apply(conn, messages)

    return replace(ports, apply=apply)


async def attempts_until_loaded(shop: Shop, limit: int) -> int:
    """How many attempts it took; the runner waits in between."""
    for attempt in range(1, limit):
        try:
            await shop.run_all()
        except TransactionTimedOut:
            continue
        return attempt
    raise AssertionError("the same chunk takes too long again and again")


async def test_a_chunk_that_takes_too_long_is_loaded_in_smaller_ones(shop: Shop) -> None:
    shop.start(slow(shop.ports()))
    job = shop.claim("users.csv", USERS)
    await shop.queue(job)

    assert await attempts_until_loaded(shop, limit=CHUNK_ROWS + 1) > 1

    statement = await shop.job(job.job_id)
    assert (statement["status"], statement["rows"], statement["loaded"]) == ("loaded", ROWS, ROWS)
    assert len((await shop.tables())["users"]) == ROWS


class Stubborn(BatchSize):
    """Planted: the same chunk again, however often it was too much."""

    @override
    def timed_out(self, records: int) -> None:
        self.records = records


async def test_a_loader_that_does_not_halve_never_gets_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_chunk, "BatchSize", Stubborn)
    shop.start(slow(shop.ports()))
    await shop.queue(shop.claim("users.csv", USERS))

    with pytest.raises(AssertionError, match="again and again"):
        await attempts_until_loaded(shop, limit=CHUNK_ROWS + 1)
