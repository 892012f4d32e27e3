"""The views of schema `reports`: what they show, and how they are replaced."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from support.native import NativeStack

from tillstream_dags.build_views import VIEWS, build_views

pytestmark = pytest.mark.integration


@pytest.fixture
def connection(stack: NativeStack, unguarded: str) -> Iterator[psycopg.Connection[Any]]:
    """A copy of the shop's database as the DAG sees it."""
    with psycopg.connect(stack.dsn("tillstream_reports", unguarded)) as session:
        yield session


def shown(connection: psycopg.Connection[Any], view: str, order: str = "1") -> list[tuple[Any, ...]]:
    rows = connection.execute(f"SELECT * FROM reports.{view} ORDER BY {order}".encode()).fetchall()
    connection.commit()
    return rows


def write(folder: Path, **views: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in views.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


def oid(connection: psycopg.Connection[Any], view: str) -> Any:
    row = connection.execute("SELECT %s::regclass::oid", [f"reports.{view}"]).fetchone()
    assert row is not None
    return row[0]


def test_every_view_can_be_read_and_says_what_it_is(connection: psycopg.Connection[Any]) -> None:
    names = build_views(connection)

    assert names == sorted(path.stem for path in VIEWS.iterdir())
    for name in names:
        assert shown(connection, name), name
    described = connection.execute(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'reports'::regnamespace AND relkind = 'v'"
        " AND obj_description(oid) LIKE '%.'"
    ).fetchone()
    assert described == (len(names),)


def test_the_views_agree_with_the_api_and_with_each_other(
    connection: psycopg.Connection[Any], stack: NativeStack
) -> None:
    build_views(connection)

    api = stack.get("/metrics/funnel")["funnel"]
    funnel = shown(connection, "funnel", "count DESC")
    assert [(stage, count) for stage, count, *_ in funnel] == [(row["stage"], row["count"]) for row in api]
    retention = stack.get("/metrics/retention", **{"from": "2023-01-01", "to": "2024-12-31"})["retention"]
    assert [row[:3] for row in map(list, shown(connection, "retention", "1 DESC"))] == [
        [date.fromisoformat(row["signup_day"]), row["total_signups"], row["returned_users"]]
        for row in retention
    ]
    top = stack.get("/products/top", days="366", as_of="2024-12-31", limit="100")["top_products"]
    assert [row[0] for row in shown(connection, "top_products", "total_revenue DESC, 1")] == [
        row["product_id"] for row in top
    ]
    revenue = sum(row[1] for row in shown(connection, "daily_revenue"))
    assert sum(row[3] for row in shown(connection, "customer_value")) == revenue
    assert sum(row[3] for row in shown(connection, "orders_by_status") if row[1] == "paid") == revenue
    by_category = sum(row[3] for row in shown(connection, "revenue_by_category"))
    assert by_category == sum(row[4] for row in shown(connection, "top_products"))


def test_a_view_whose_columns_stay_keeps_its_identity(
    connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    views = write(tmp_path / "views", mine="SELECT 1 AS one, 'a'::text AS letter")
    build_views(connection, views=views)
    before = oid(connection, "mine")

    write(views, mine="-- Another letter.\nSELECT 1 AS one, 'b'::text AS letter")
    build_views(connection, views=views)

    assert oid(connection, "mine") == before
    assert shown(connection, "mine") == [(1, "b")]


@pytest.mark.parametrize(
    "changed",
    [
        "SELECT 'a'::text AS letter",
        "SELECT 1 AS two, 'a'::text AS letter",
        "SELECT 1.5 AS one, 'a'::text AS letter",
    ],
)
def test_columns_may_change(connection: psycopg.Connection[Any], tmp_path: Path, changed: str) -> None:
    views = write(tmp_path / "views", mine="SELECT 1 AS one, 'a'::text AS letter")
    build_views(connection, views=views)

    write(views, mine=changed)
    build_views(connection, views=views)

    assert len(shown(connection, "mine")) == 1


def test_a_view_that_cannot_be_built_leaves_all_as_they_were(
    connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    views = write(tmp_path / "views", a="SELECT 1 AS one", b="SELECT 2 AS two")
    build_views(connection, views=views)

    write(views, a="SELECT 'changed' AS other", b="SELECT nothing FROM api.orders")
    with pytest.raises(errors.UndefinedColumn):
        build_views(connection, views=views)

    assert shown(connection, "a") == [(1,)]


def test_what_stands_on_a_view_is_not_dropped_with_it(
    connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    views = write(tmp_path / "views", mine="SELECT 1 AS one")
    build_views(connection, views=views)
    connection.execute("CREATE VIEW reports.of_an_analyst AS SELECT one FROM reports.mine")
    connection.commit()

    write(views, mine="SELECT 'x'::text AS letter")
    with pytest.raises(errors.DependentObjectsStillExist):
        build_views(connection, views=views)

    assert shown(connection, "of_an_analyst") == [(1,)]
