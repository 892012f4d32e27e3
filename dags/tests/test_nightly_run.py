"""The DAG for real, by `dag.test()` against the native stack: green on the sample, red at the right task on what is broken."""

import csv
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from support.native import NativeStack
from support.nightly import GREEN, red_at, run_nightly
from support.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("metadata", "airflow_environment")]

MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
SOON_S = 30.0
TABLES = ("users", "products", "orders", "order_items", "events")


@pytest.fixture
def at() -> datetime:
    """A moment that no other test declares, long after the sample was exported."""
    return MIDNIGHT + timedelta(seconds=1 + uuid4().int % 10_000_000)


@pytest.fixture
def broken(
    stack: NativeStack, unguarded: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection[Any]]:
    """The DAG's connection leads to a copy without constraints; the superuser's session in it."""
    monkeypatch.setenv("AIRFLOW_CONN_TILLSTREAM_REPORTS", stack.dsn("tillstream_reports", unguarded))
    with psycopg.connect(stack.dsn("postgres", unguarded), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def contents(stack: NativeStack) -> dict[str, list[Any]]:
    """All rows of the shop, without what a mere look moves."""
    with psycopg.connect(stack.dsn("tillstream_reports")) as connection:
        return {
            table: connection.execute(f"SELECT t::text FROM api.{table} AS t ORDER BY 1".encode()).fetchall()
            for table in TABLES
        }


def exported(data_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (data_dir / "output").iterdir()}


def jobs_of(stack: NativeStack, name: str) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = stack.get("/jobs", file_name=name, limit="500")["jobs"]
    return jobs


def rewrite(path: Path, change: Any) -> None:
    """Change the rows of a file; `change` gets them as dictionaries."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def test_the_sample_is_green_and_a_second_run_changes_nothing(
    stack: NativeStack, data_dir: Path, at: datetime, reports: psycopg.Connection[Any]
) -> None:
    before = contents(stack)

    assert run_nightly(at) == GREEN
    first, jobs = exported(data_dir), len(stack.get("/jobs", limit="500")["jobs"])
    assert run_nightly(at) == GREEN

    assert contents(stack) == before
    assert exported(data_dir) == first
    assert set(first) == {"daily_revenue.csv", f"daily_revenue-{at.date()}.csv"}
    assert len(stack.get("/jobs", limit="500")["jobs"]) == jobs, "the second run found the jobs of the first"
    kept = reports.execute(
        "SELECT bool_and(passed) FROM reports.quality_results WHERE severity = 'error' AND run_id LIKE 'manual__%'"
    ).fetchone()
    assert kept == (True,)


def test_what_came_live_after_the_interval_is_not_overwritten(
    stack: NativeStack, data_dir: Path, at: datetime
) -> None:
    """A late run of an old night, whose file says something else about an order that changed since."""
    order = {
        "order_id": 9001,
        "user_id": 1,
        "order_date": "2024-03-01T10:00:00Z",
        "status": "paid",
        "total_amount": 10,
        "updated_at": (at + timedelta(seconds=1)).isoformat(),
    }
    httpx.post(f"{stack.ingest_url}/ingest/orders", json=[order]).raise_for_status()
    wait_for(lambda: _status(stack, 9001) == "paid", SOON_S, "the live order")

    def pending(rows: list[dict[str, str]]) -> None:
        rows.append({**rows[0], "order_id": "9001", "status": "pending", "total_amount": "10.00"})

    rewrite(data_dir / "raw" / "orders.csv", pending)

    assert run_nightly(at) == GREEN
    assert _status(stack, 9001) == "paid"
    assert jobs_of(stack, "orders.csv")[0]["superseded"] >= 1
    assert run_nightly(at + timedelta(seconds=2)) == GREEN
    assert _status(stack, 9001) == "pending", "of a later night, the file is the newer one"


def test_a_file_that_lies_there_since_long_overwrites_nothing(
    stack: NativeStack, data_dir: Path, at: datetime
) -> None:
    """The export of a night is still there in the next one."""
    written = (at - timedelta(hours=1)).timestamp()
    for path in (data_dir / "raw").iterdir():
        os.utime(path, (written, written))
    assert run_nightly(at) == GREEN
    jobs = len(stack.get("/jobs", limit="500")["jobs"])

    assert run_nightly(at + timedelta(days=1)) == GREEN

    assert len(stack.get("/jobs", limit="500")["jobs"]) == jobs


def _status(stack: NativeStack, order_id: int) -> str | None:
    answer = httpx.get(f"{stack.query_url}/orders/{order_id}")
    return None if answer.status_code == 404 else str(answer.json()["status"])


def negative(rows: list[dict[str, str]]) -> None:
    rows[0]["total_amount"] = "-1.00"


def without_a_column(path: Path) -> None:
    path.write_text(path.read_text().replace("total_amount", "amount", 1))


def test_refused_rows_beyond_the_limit_are_red_at_the_load(
    stack: NativeStack, data_dir: Path, at: datetime
) -> None:
    rewrite(data_dir / "raw" / "orders.csv", negative)

    assert run_nightly(at) == red_at("load_csv_to_database")
    assert jobs_of(stack, "orders.csv")[0]["rejected"] == 1
    assert exported(data_dir) == {}
    assert run_nightly(at, {"max_rejected_percent": 10}) == GREEN, "whoever has looked may put up with it"


def test_a_file_with_a_wrong_header_is_red_at_the_load(
    stack: NativeStack, data_dir: Path, at: datetime
) -> None:
    without_a_column(data_dir / "raw" / "orders.csv")

    assert run_nightly(at) == red_at("load_csv_to_database")
    assert jobs_of(stack, "orders.csv")[0]["status"] == "failed"


def test_rows_without_their_parent_are_red_at_the_load(data_dir: Path, at: datetime) -> None:
    def of_nobody(rows: list[dict[str, str]]) -> None:
        rows += [{**rows[0], "order_id": str(order), "user_id": "777777"} for order in (9101, 9102)]

    rewrite(data_dir / "raw" / "orders.csv", of_nobody)

    assert run_nightly(at) == red_at("load_csv_to_database")
    assert run_nightly(at, {"max_parked_percent": 10}) == GREEN


def test_a_missing_file_is_red_at_the_load(data_dir: Path, at: datetime) -> None:
    (data_dir / "raw" / "events.csv").unlink()

    assert run_nightly(at) == red_at("load_csv_to_database")


def test_a_database_that_does_not_show_its_orders_is_red_at_the_views(
    broken: psycopg.Connection[Any],
) -> None:
    broken.execute("ALTER VIEW api.orders RENAME TO gone")

    assert run_nightly(MIDNIGHT) == red_at("build_sql_views")


DEFECTS = {
    "users_populated": "TRUNCATE shop.users",
    "products_populated": "TRUNCATE shop.products CASCADE",
    "no_negative_order_amounts": "UPDATE shop.orders SET total_amount = -1 WHERE order_id = 7",
    "event_types_valid": "UPDATE shop.events SET event_type = 'refund' WHERE user_id = 4",
    "no_orphan_order_items": "UPDATE shop.order_items SET order_id = 999 WHERE order_id = 1",
}


@pytest.mark.parametrize("check", DEFECTS)
def test_bad_data_is_red_at_the_quality_tests_and_kept(
    check: str, broken: psycopg.Connection[Any], data_dir: Path
) -> None:
    broken.execute(DEFECTS[check].encode())

    assert run_nightly(MIDNIGHT) == red_at("run_data_quality_tests")
    kept = broken.execute(
        "SELECT check_name FROM reports.quality_results WHERE NOT passed AND severity = 'error'"
    )
    assert check in {name for (name,) in kept.fetchall()}
    assert exported(data_dir) == {}


def test_an_output_that_cannot_be_written_is_red_at_the_export(data_dir: Path) -> None:
    (data_dir / "output").rmdir()
    (data_dir / "output").write_text("in the way")

    assert run_nightly(MIDNIGHT) == red_at("materialize_daily_revenue")


def test_an_environment_that_lacks_an_address_is_red_at_the_load(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TILLSTREAM_QUERY_URL")

    assert run_nightly(at) == red_at("load_csv_to_database")
