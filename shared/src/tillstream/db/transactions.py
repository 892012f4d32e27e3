"""Both or neither, whatever interrupts it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection


@asynccontextmanager
async def undone_on_failure(conn: AsyncConnection) -> AsyncIterator[None]:
    """The block begins a transaction and ends it; whatever it raises leaves none open.

    After a cancellation, or where the server cannot be told to roll back, the connection is closed. A commit whose outcome
    is unknown leaves it closed, too: what became of it must be looked up.
    """
    try:
        yield
    except asyncio.CancelledError:
        await conn.close()  # the server rolls back what a closed connection had begun
        raise
    except BaseException:
        try:
            await conn.rollback()
        except psycopg.Error:
            await conn.close()
        raise
