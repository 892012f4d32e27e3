"""One transaction of the loader: both or neither, whatever interrupts it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection

from tillstream.kafka.steps import Commit


@asynccontextmanager
async def transaction(conn: AsyncConnection, commit: Commit) -> AsyncIterator[None]:
    """Begin, run the block, commit; after any failure roll back, or close the connection so that the server does.

    A commit whose outcome is unknown leaves the connection closed: the row of the job says what became of it.
    """
    await conn.execute("BEGIN")
    try:
        yield
        await commit(conn)
    except asyncio.CancelledError:
        await conn.close()  # the server rolls back what a closed connection had begun
        raise
    except BaseException:
        await _roll_back(conn)
        raise


async def _roll_back(conn: AsyncConnection) -> None:
    try:
        await conn.rollback()
    except psycopg.Error:
        await conn.close()
