"""The way into the database: named statements on a bounded pool of read-only connections."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

import structlog
from psycopg import AsyncConnection, errors
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from tillstream.clock import Clock
from tillstream.db import queries
from tillstream.db.failures import translated
from tillstream.db.zone import check_recorded, migrated
from tillstream.errors import DatabaseUnavailable, Retryable
from tillstream.observe.metrics import Metrics

STATEMENTS_PACKAGE = "query_api.queries"
UNAVAILABLE = "The database does not answer now; ask again in a moment."
TOO_LONG = "The answer would take too long; ask for less of it or again later."

_log = structlog.get_logger()

type Row = dict[str, Any]
type Parameters = Mapping[str, object]
type Statements = Mapping[str, LiteralString]


def load_statements() -> dict[str, LiteralString]:
    """Every statement of this service by its name, which is unique across the files."""
    found: dict[str, LiteralString] = {}
    for file in sorted(files(STATEMENTS_PACKAGE).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".sql"):
            statements = queries.load(STATEMENTS_PACKAGE, file.name)
            assert not found.keys() & statements.keys(), file.name
            found.update(statements)
    return found


class Session:
    """One connection for the statements of one answer, each in a transaction of its own."""

    def __init__(self, connection: AsyncConnection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements

    async def rows(self, name: str, parameters: Parameters | None = None) -> list[Row]:
        """All rows of a statement, which is planned for these very parameters: nulls in them drop whole conditions."""
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self._statements[name], parameters or {}, prepare=False)
            return await cursor.fetchall()

    async def row(self, name: str, parameters: Parameters | None = None) -> Row | None:
        """The first row, if there is any."""
        rows = await self.rows(name, parameters)
        return rows[0] if rows else None


class Reader:
    """Answers nothing before `agree` has found that the database keeps the same days as this process."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection],
        statements: Statements,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._statements = statements
        self._metrics = metrics
        self._clock = clock
        self._has_agreed = False

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Raises DatabaseUnavailable, with a sentence for the client, for an outage and for a question that takes too long."""
        if not self._has_agreed:
            raise DatabaseUnavailable(UNAVAILABLE)
        async with self._connected() as session:
            yield session
        self._metrics.succeeded("query", self._clock)

    async def probe(self) -> None:
        """Returns when the database answers. Raises DatabaseUnavailable when not."""
        async with self.session() as session:
            await session.row("alive")

    async def agree(self, zone: ZoneInfo) -> None:
        """Compare zones; from here on questions are answered. May be repeated after DatabaseUnavailable.

        Raises Misconfigured where the database was made for another zone, or not made at all.
        """
        with migrated():
            async with self._connected() as session:
                recorded = await session.row("shop_timezone")
        check_recorded(recorded["value"] if recorded else None, zone)
        self._has_agreed = True

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Session]:
        with _explained():
            async with self._pool.connection() as connection:
                yield Session(connection, self._statements)


@contextmanager
def _explained() -> Iterator[None]:
    """An outage reaches the client as a sentence without the addresses and names that the driver's own text has."""
    try:
        with translated():
            yield
    except Retryable as error:
        cause = error.__cause__
        _log.warning("A question to the database failed.", problem=str(error))
        is_too_long = isinstance(cause, errors.QueryCanceled)
        raise DatabaseUnavailable(TOO_LONG if is_too_long else UNAVAILABLE) from error


def watch_pool(pool: AsyncConnectionPool[Any], metrics: Metrics) -> None:
    """Lets the gauges of the pool follow it; they are read when somebody asks for the metrics."""

    def in_use() -> float:
        stats = pool.get_stats()
        return stats.get("pool_size", 0) - stats.get("pool_available", 0)

    metrics.database_connections.set_function(lambda: pool.get_stats().get("pool_size", 0))
    metrics.database_connections_in_use.set_function(in_use)
    metrics.database_waiting_requests.set_function(lambda: pool.get_stats().get("requests_waiting", 0))
