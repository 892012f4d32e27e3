"""Fixtures: the sample shop and some live orders in a real PostgreSQL, read by Grafana's role on one side and by query-api on the other."""

import csv
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import SecretStr

from query_api.app import opened
from query_api.settings import QuerySettings
from support.postgres import Database, PostgresServer, migrate
from tillstream.clock import SystemClock
from tillstream.testing.shop_rows import VERSION, ShopRows

from .macros import Range, expanded
from .rules import GRAFANA, ROOT, Json, panels

SAMPLE = ROOT / "data" / "sample"
ZONES = ("UTC", "Pacific/Auckland")
PRODUCTS_SHOWN = "10"
LIVE_ORDERS = ((9_001, 0, "paid", "40.00"), (9_002, 0, "pending", "7.00"), (9_003, 1, "paid", "2.50"))

type Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Grafana:
    """The panels' questions as Grafana asks them, with the role of the provisioned data source."""

    zone: ZoneInfo
    connection: psycopg.Connection[dict[str, Any]]

    def panel(self, title: str, shown: Range) -> Rows:
        """What a panel of "the shop" gets for a range."""
        found = next(each for each in shop_panels() if each["title"] == title)
        return self.rows(found["targets"][0]["rawSql"], shown)

    def rows(self, question: str, shown: Range) -> Rows:
        """Runs a question as Grafana would, in the one transaction of this test, so that `now` stands still."""
        return self.connection.execute(
            expanded(question, shown, {"products": PRODUCTS_SHOWN}).encode()
        ).fetchall()

    def columns(self, question: str, shown: Range) -> list[str]:
        """The names of its columns."""
        asked = expanded(question, shown, {"products": PRODUCTS_SHOWN}).encode()
        return [column.name for column in self.connection.execute(asked).description or ()]

    def day(self, days_back: int = 0) -> str:
        """A day of the shop."""
        row = self.connection.execute(
            "SELECT (api.shop_day(now()) - %s)::text AS day", [days_back]
        ).fetchone()
        assert row is not None
        return str(row["day"])


@dataclass(frozen=True, slots=True)
class Shop(Grafana):
    """The same shop by two roads: what the panels show, and what query-api answers."""

    client: httpx2.AsyncClient

    async def api(self, path: str, **parameters: object) -> Json:
        """What query-api answers, its numbers exact."""
        response = await self.client.get(path, params={name: str(each) for name, each in parameters.items()})
        assert response.status_code == 200, response.text
        answer: Json = json.loads(response.text, parse_float=Decimal)
        return answer


def shop_panels() -> list[Json]:
    """The panels of "the shop", as they lie in the file."""
    return panels(json.loads((GRAFANA / "dashboards" / "shop.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="session", params=ZONES)
def shop_database(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Database:
    """A migrated database of a shop in a zone, with the sample, what came today and yesterday, and some trouble in it."""
    database = Database(postgres_server, f"grafana_{ZONES.index(request.param)}")
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER tillstream_owner").format(sql.Identifier(database.name))
        )
    migrate(postgres_server, database.name, request.param)
    with psycopg.connect(database.owner_dsn, autocommit=True) as connection:
        rows = ShopRows(connection)
        rows.run("DELETE FROM shop.users")
        load_sample(rows)
        add_live_orders(rows)
        add_trouble(rows)
    return database


def load_sample(rows: ShopRows) -> None:
    """The five files as the tables hold them after they were loaded."""
    for user in read("users"):
        rows.insert("users", version=VERSION, **user)
    for product in read("products"):
        rows.insert("products", version=VERSION, **product)
    for order in read("orders"):
        rows.insert("orders", version=VERSION, **order)
    for item in read("order_items"):
        rows.insert("order_items", version=VERSION, **item)
    for event in read("events"):
        about: dict[str, Any] = {"product_id": event["product_id"]} if event["product_id"] else {}
        rows.event(int(event["user_id"]), event["event_timestamp"], event["event_type"], **about)


def read(kind: str) -> list[dict[str, str]]:
    with (SAMPLE / f"{kind}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add_live_orders(rows: ShopRows) -> None:
    """What a running shop has and the sample has not: orders of now and of a day ago."""
    for order_id, days_back, status, total in LIVE_ORDERS:
        at = datetime.now(UTC) - timedelta(days=days_back)
        rows.order(order_id, at, total, status=status, items=[(1, 1, total)])


def add_trouble(rows: ShopRows) -> None:
    """Something for each panel that says how sure the numbers are."""
    now = datetime.now(UTC)
    measured = now + timedelta(hours=1)  # what was measured longer than ten seconds ago counts as unknown
    rows.all_applied(measured)
    rows.progress(
        "shop.orders.v1",
        3,
        next_offset=5,
        log_end=9,
        measured_at=measured,
        last_stored_at=now - timedelta(minutes=2),
    )
    rows.progress(
        "shop.events.v1",
        0,
        next_offset=5,
        log_end=5,
        measured_at=measured,
        stopped_at=now,
        stop_reason="rejects",
    )
    rows.parked()
    rows.refused(b'{"name": "Ada", "email": "ada@example.org"}')
    rows.refused(reason="unknown_user")
    rows.refused(reason="unknown_user")
    rows.job("loaded_with_rejects", file_name="orders.csv", rows=41, loaded=40, rejected=1, created_at=now)
    rows.job("queued", file_name="users.csv", created_at=now - timedelta(minutes=1))


@pytest.fixture
def grafana(shop_database: Database) -> Iterator[Grafana]:
    """A session of the role that the provisioned data source names."""
    with psycopg.connect(shop_database.reader_dsn, row_factory=dict_row) as connection:
        row = connection.execute("SELECT value FROM api.settings WHERE key = 'shop_timezone'").fetchone()
        assert row is not None
        yield Grafana(ZoneInfo(row["value"]), connection)


@pytest.fixture
async def shop(shop_database: Database, grafana: Grafana) -> AsyncIterator[Shop]:
    """Grafana's session and a running query-api on the same database."""
    settings = QuerySettings(
        database_url=SecretStr(shop_database.reader_dsn),
        query_port=0,
        ops_port=0,
        env="development",
        shop_timezone=grafana.zone,
    )
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(opened(settings, SystemClock()))
        await running.agreement
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{running.web.port}")
        )
        yield Shop(grafana.zone, grafana.connection, client)
