"""Fixtures: a shop in a zone, and its analytics as the reader's role gets them.

There is one database per zone. Each test works in a transaction of its own that is rolled back, and takes the reader's
role for its questions, so that a test costs milliseconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import tuple_row

from support.postgres import Database, PostgresServer
from tillstream.db.migrate import migrate
from tillstream.testing.shop_rows import ShopRows

type OpenShop = Callable[[str], "Shop"]
type DatabaseOfZone = Callable[[str], Database]


@dataclass(frozen=True, slots=True)
class Shop:
    """`rows` writes as a superuser; `ask` reads with the rights of `tillstream_reader`."""

    rows: ShopRows
    connection: psycopg.Connection

    def ask(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        with self.connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute("SET LOCAL ROLE tillstream_reader")
            found = cursor.execute(statement, parameters).fetchall()
            cursor.execute("RESET ROLE")
        return found

    def revenue(self, first_day: str, last_day: str) -> list[tuple[str, str, int]]:
        """(day, revenue, orders), in the order of the answer."""
        found = self.ask("SELECT * FROM api.daily_revenue(%s::date, %s::date)", first_day, last_day)
        return [(str(day), str(revenue), orders) for day, revenue, orders in found]

    def revenue_days(self, first_day: str, last_day: str) -> list[tuple[str, int]]:
        """(day, orders), in the order of the answer."""
        return [(day, orders) for day, _, orders in self.revenue(first_day, last_day)]

    def top(self, days: int, max_rows: int, as_of: str) -> list[tuple[int, str, str]]:
        """(product, units, revenue)."""
        found = self.ask("SELECT * FROM api.top_products(%s, %s, %s::date)", days, max_rows, as_of)
        return [(product, str(units), str(revenue)) for product, _, _, units, revenue in found]

    def retention(self, first_day: str, last_day: str, today: str) -> list[tuple[Any, ...]]:
        """(day of signup, signups, returned, percentage, complete)."""
        found = self.ask(
            "SELECT * FROM api.retention(%s::date, %s::date, %s::date)", first_day, last_day, today
        )
        return [(str(day), *counts, str(share), is_over) for day, *counts, share, is_over in found]

    def funnel(self, first_day: str | None, last_day: str | None) -> list[tuple[Any, ...]]:
        """(stage, events, % of the stage before, % of the first stage)."""
        found = self.ask("SELECT * FROM api.funnel(%s::date, %s::date)", first_day, last_day)
        return [
            (stage, count, *(rate if rate is None else str(rate) for rate in rates))
            for stage, count, *rates in found
        ]


@pytest.fixture(scope="session")
def database_of_zone(postgres_server: PostgresServer, template_database: str) -> DatabaseOfZone:
    """A database that keeps the days of a zone, made when it is first asked for; nothing is committed to it."""
    made: dict[str, Database] = {}

    def find(zone: str) -> Database:
        if zone not in made:
            database = Database(postgres_server, f"analytics_{len(made)}")
            with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
                names = (sql.Identifier(name) for name in (database.name, template_database))
                statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER tillstream_owner").format(*names)
                connection.execute(statement)
            migrate(database.owner_dsn, shop_timezone=ZoneInfo(zone), passwords={}, change_zone=True)
            made[zone] = database
        return made[zone]

    return find


@pytest.fixture
def open_shop(database_of_zone: DatabaseOfZone) -> Iterator[OpenShop]:
    """Opens a shop of a zone, with user 1 in it and nothing else."""
    connections: list[psycopg.Connection] = []

    def open_in(zone: str) -> Shop:
        # A zone far from all that are tested: nothing may depend on the session's own.
        options = "-c TimeZone=Pacific/Marquesas"
        connection = psycopg.connect(database_of_zone(zone).superuser_dsn, options=options)
        connections.append(connection)
        return Shop(ShopRows(connection), connection)

    yield open_in
    for connection in connections:
        connection.rollback()
        connection.close()


@pytest.fixture
def shop(open_shop: OpenShop) -> Shop:
    """A shop whose days are those of UTC."""
    return open_shop("UTC")
