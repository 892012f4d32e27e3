"""What a connection knows of the server's work."""

import asyncio

import pytest

from support.postgres import Database
from tillstream.db.connections import connect
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.integration


async def test_it_knows_for_how_long_the_server_has_been_at_work(database: Database) -> None:
    async with await connect(database.worker_dsn, application_name="test") as conn:
        assert conn.waiting_s == 0.0
        working = asyncio.create_task(conn.execute("SELECT pg_sleep(30)"))
        await eventually(lambda: conn.waiting_s > 0.2)
        conn.cancel()
        await asyncio.wait({working})
        assert working.exception() is not None
        assert conn.waiting_s == 0.0


async def test_a_copy_that_nobody_feeds_is_no_work(database: Database) -> None:
    async with await connect(database.worker_dsn, application_name="test") as conn:
        await conn.execute("CREATE TEMPORARY TABLE fed (n integer)")
        async with conn.cursor() as cursor, cursor.copy("COPY fed FROM STDIN") as copy:
            await copy.write("1\n")
            assert conn.waiting_s == 0.0
        assert conn.waiting_s == 0.0
