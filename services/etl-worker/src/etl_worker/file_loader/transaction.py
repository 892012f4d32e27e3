"""One transaction of the loader: both or neither, whatever interrupts it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection

from tillstream.db.transactions import undone_on_failure
from tillstream.kafka.steps import Commit


@asynccontextmanager
async def transaction(conn: AsyncConnection, commit: Commit) -> AsyncIterator[None]:
    """Begin, run the block, commit; after any failure roll back, or close the connection so that the server does.

    A commit whose outcome is unknown leaves the connection closed: the row of the job says what became of it.
    """
    async with undone_on_failure(conn):
        await conn.execute("BEGIN")
        yield
        await commit(conn)
