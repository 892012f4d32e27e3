"""Fixtures and helpers for the engine's tests: a database, sessions on it, and a way to read where it ended."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from support.postgres import Database
from tillstream.db.connections import connect

_CHILDREN_FIRST = (
    "events order_items orders users products changes parked replay_requests quarantine file_jobs".split()
)
type Connect = Callable[[], Awaitable[AsyncConnection]]


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Connect]:
    """Opens sessions as the worker's role; all are closed at the end."""
    opened: list[AsyncConnection] = []

    async def open_one() -> AsyncConnection:
        conn = await connect(database.worker_dsn, application_name="engine-test")
        opened.append(conn)
        return conn

    yield open_one
    for conn in opened:
        await conn.close()


@pytest.fixture
async def empty(database: Database) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Empties every table, for tests that draw many examples on one database."""
    conn = await AsyncConnection.connect(database.owner_dsn, autocommit=True)

    async def truncate() -> None:
        # Not TRUNCATE: PostgreSQL 18 refuses it where a foreign key is NOT ENFORCED, even with both tables named.
        for table in _CHILDREN_FIRST:
            await conn.execute(SQL("DELETE FROM shop.{}").format(Identifier(table)))

    yield truncate
    await conn.close()

