"""Fixtures and helpers for the engine's tests: a database, sessions on it, and a way to read where it ended."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from support.postgres import Database
from tillstream.db.connections import connect

_CHILDREN_FIRST = [
    "events",
    "order_items",
    "orders",
    "users",
    "products",
    "changes",
    "parked",
    "replay_requests",
    "quarantine",
    "file_job_corrections",
    "file_jobs",
    "consumer_offsets",
]
type Connect = Callable[..., Awaitable[AsyncConnection]]


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Connect]:
    """The worker's session of a number: opened when first asked for, the same one for every example after that."""
    opened: dict[int, AsyncConnection] = {}

    async def open_one(number: int = 0) -> AsyncConnection:
        if number not in opened:
            opened[number] = await connect(database.worker_dsn, application_name=f"engine-test-{number}")
        return opened[number]

    yield open_one
    for conn in opened.values():
        await conn.close()


@pytest.fixture
async def operator(database: Database) -> AsyncIterator[AsyncConnection]:
    """A session with an operator's rights, in which dry runs run."""
    conn = await connect(database.operator_dsn, application_name="engine-test-operator")
    yield conn
    await conn.close()


@pytest.fixture
async def empty(database: Database) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Empties every table, for tests that draw many examples on one database."""
    conn = await AsyncConnection.connect(database.owner_dsn, autocommit=True)
    yield partial(_delete_all, conn)
    await conn.close()


async def empty_tables(database: Database) -> None:
    """The same once, for a test without a loop of its own."""
    async with await AsyncConnection.connect(database.owner_dsn, autocommit=True) as conn:
        await _delete_all(conn)


async def _delete_all(conn: AsyncConnection) -> None:
    # Not TRUNCATE: PostgreSQL 18 refuses it where a foreign key is NOT ENFORCED, even with both tables named.
    for table in _CHILDREN_FIRST:
        await conn.execute(SQL("DELETE FROM shop.{}").format(Identifier(table)))
