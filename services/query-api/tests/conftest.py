"""Fixtures: a database with rows as the worker leaves them, and query-api on it as its clients have it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from query_api.app import Running, opened
from query_api.settings import QuerySettings
from support.postgres import Database, PostgresServer
from tillstream.clock import SystemClock
from tillstream.testing.shop_rows import ShopRows

NOW = datetime(2024, 12, 31, 12, tzinfo=UTC)
CHILDREN_FIRST = (
    "events",
    "order_items",
    "orders",
    "users",
    "products",
    "changes",
    "parked",
    "quarantine",
    "file_job_corrections",
    "file_jobs",
    "partition_progress",
)

type Json = dict[str, Any]


class FixedClock(SystemClock):
    """Stands still for answers; deadlines run on."""

    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True, slots=True)
class Api:
    """A running query-api and a client of it."""

    running: Running
    client: httpx2.AsyncClient
    ops: httpx2.AsyncClient

    async def get(self, path: str, **parameters: object) -> Json:
        """The answer to a question that must succeed."""
        response = await self.client.get(path, params={name: str(each) for name, each in parameters.items()})
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer


def settings_for(dsn: str, **changed: Any) -> QuerySettings:
    """Settings on free ports."""
    facts = {"database_url": SecretStr(dsn), "query_port": 0, "ops_port": 0, "env": "development", **changed}
    return QuerySettings(**facts)


@asynccontextmanager
async def running_api(settings: QuerySettings) -> AsyncIterator[Api]:
    """Starts query-api as its process does; the database need not be there."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(opened(settings, FixedClock()))
        clients = [
            await stack.enter_async_context(httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}"))
            for port in (running.web.port, running.ops.port)
        ]
        yield Api(running, *clients)


@pytest.fixture(scope="session")
def shared_database(postgres_server: PostgresServer, template_database: str) -> Database:
    """One database for all tests that only need their rows; `rows` empties it."""
    name = f"query_{uuid4().hex}"
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER tillstream_owner")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template_database)))
    return Database(postgres_server, name)


@pytest.fixture
def rows(shared_database: Database) -> Iterator[ShopRows]:
    """Writes what a test is about; user 1 is there."""
    with psycopg.connect(shared_database.owner_dsn, autocommit=True) as connection:
        for table in CHILDREN_FIRST:
            connection.execute(sql.SQL("DELETE FROM shop.{}").format(sql.Identifier(table)))
        yield ShopRows(connection)


@pytest.fixture
async def api(shared_database: Database, rows: ShopRows) -> AsyncIterator[Api]:
    """query-api on the shared database, ready to answer. Its clock stands at noon of 2024-12-31."""
    async with running_api(settings_for(shared_database.reader_dsn)) as api:
        await api.running.agreement
        yield api
