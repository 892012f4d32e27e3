"""Airflow in its container: the login, the nightly run through the REST API, and what it leaves behind."""

import csv
import io
from collections.abc import AsyncIterator, Mapping

import httpx2
import pytest

from e2e.driver import Json, Shop, eventually
from support.composed import ComposedStack

pytestmark = pytest.mark.e2e

DAG_ID = "ecommerce_etl_pipeline"
TASKS = ("load_csv_to_database", "build_sql_views", "run_data_quality_tests", "materialize_daily_revenue")
DEVELOPMENT_LOGIN = {"username": "admin", "password": "admin123"}
SEEN_WITHIN_S = 120
DONE_WITHIN_S = 180
ANSWER_WITHIN_S = 30


async def log_in(composed: ComposedStack, login: Mapping[str, str]) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=composed.airflow_url, timeout=ANSWER_WITHIN_S) as anybody:
        return await anybody.post("/auth/token", json=login)


@pytest.fixture
async def airflow(composed: ComposedStack) -> AsyncIterator[httpx2.AsyncClient]:
    """The REST API, logged in as the development user; the DAG is read and switched on."""
    token = (await log_in(composed, DEVELOPMENT_LOGIN)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    base_url = f"{composed.airflow_url}/api/v2"
    async with httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=ANSWER_WITHIN_S) as client:

        async def is_read() -> bool:
            return (await client.get(f"/dags/{DAG_ID}")).status_code == 200

        assert await eventually(is_read, SEEN_WITHIN_S)
        switched = await client.patch(f"/dags/{DAG_ID}", json={"is_paused": False})
        assert switched.status_code == 200, switched.text
        yield client


async def run_once(airflow: httpx2.AsyncClient) -> dict[str, str]:
    """Triggers a run, waits for its end and for that of the one which switching on began; its tasks' states."""
    started = await airflow.post(f"/dags/{DAG_ID}/dagRuns", json={"logical_date": None})
    assert started.status_code == 200, started.text
    runs = f"/dags/{DAG_ID}/dagRuns"

    async def all_over() -> list[Json] | None:
        found = (await airflow.get(runs)).json()["dag_runs"]
        return found if {run["state"] for run in found} <= {"success", "failed"} else None

    await eventually(all_over, DONE_WITHIN_S)
    found = (await airflow.get(f"{runs}/{started.json()['dag_run_id']}/taskInstances")).json()
    return {task["task_id"]: task["state"] for task in found["task_instances"]}


async def test_only_the_right_password_gets_in(composed: ComposedStack) -> None:
    refused = await log_in(composed, {**DEVELOPMENT_LOGIN, "password": "admin"})
    assert refused.status_code == 401
    async with httpx2.AsyncClient(base_url=composed.airflow_url, timeout=ANSWER_WITHIN_S) as anybody:
        assert (await anybody.get("/api/v2/dags")).status_code == 401
        assert (await anybody.get("/", follow_redirects=True)).status_code == 200


async def test_the_nightly_run_is_green_twice_and_loads_nothing_twice(
    shop: Shop, composed: ComposedStack, airflow: httpx2.AsyncClient
) -> None:
    assert (await airflow.get("/importErrors")).json()["total_entries"] == 0
    orders = "SELECT order_id, user_id, order_date, status, total_amount FROM shop.orders ORDER BY order_id"
    before = await shop.rows(orders)
    for _ in range(2):
        assert await run_once(airflow) == dict.fromkeys(TASKS, "success")
    assert await shop.rows(orders) == before

    written = (composed.data_dir / "output" / "daily_revenue.csv").read_text()
    rows = [
        {"order_day": row["order_day"], "daily_revenue": float(row["daily_revenue"]), "total_orders": int(row["total_orders"])}
        for row in csv.DictReader(io.StringIO(written))
    ]  # fmt: skip
    assert rows
    answered: list[Json] = []
    for year in range(2030, 1999, -1):
        days = {"from": f"{year}-01-01", "to": f"{year}-12-31"}
        answered += (await shop.get("/metrics/daily-revenue", **days))["daily_revenue"]
    assert rows == answered
