"""The questions of the README with their answers, on the sample shop."""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from e2e.driver import Shop, eventually

pytestmark = pytest.mark.e2e

YEAR = {"from": "2024-01-01", "to": "2024-12-31"}
ORDER_1 = {
    "order_id": 1,
    "order_date": "2024-01-20T10:30:00Z",
    "status": "paid",
    "total_amount": 1329.98,
    "items": [
        {
            "product_id": 1,
            "product_name": "Laptop Pro 15",
            "quantity": 1,
            "unit_price": 1299.99,
            "subtotal": 1299.99,
        },
        {
            "product_id": 2,
            "product_name": "Wireless Mouse",
            "quantity": 1,
            "unit_price": 29.99,
            "subtotal": 29.99,
        },
    ],
}
BAD_PARAMETERS = [
    ("/orders?user_id=zero", "user_id"),
    ("/orders?user_id=0", "user_id"),
    ("/orders?limit=0", "limit"),
    ("/orders?limit=100000", "limit"),
    ("/orders?cursor=forged", "cursor"),
    ("/orders?userid=1", "userid"),
    ("/orders/first", "order_id"),
    ("/metrics/daily-revenue?from=2024-02-30&to=2024-12-31", "from"),
    ("/metrics/daily-revenue?from=2024-12-31&to=2024-01-01", "from"),
    ("/metrics/retention?from=1706745600", "from"),
    ("/metrics/funnel?to=yesterday", "to"),
    ("/products/top?days=0", "days"),
    ("/products/top?as_of=31.12.2024", "as_of"),
    ("/jobs?status=lost", "status"),
    ("/jobs/17", "job_id"),
    ("/quarantine?reason=because", "reason"),
]


async def test_the_orders_of_a_user_come_with_their_items(shop: Shop) -> None:
    answer = await shop.get("/orders", user_id=1)
    assert answer["orders"] == [ORDER_1]
    assert answer["next_cursor"] is None


async def test_one_order_is_found_by_its_id_and_a_missing_one_is_not(shop: Shop) -> None:
    assert await shop.get("/orders/1") == ORDER_1
    missing = await shop.query.get("/orders/999999999")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"


async def test_pages_hold_every_order_once_newest_first(shop: Shop) -> None:
    whole = (await shop.get("/orders", user_id=3, limit=500))["orders"]
    assert len(whole) > 2
    paged: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await shop.get("/orders", user_id=3, limit=2, **cursor)
        paged += page["orders"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert paged == whole
    keys = [(order["order_date"], order["order_id"]) for order in whole]
    assert keys == sorted(keys, reverse=True)


async def test_daily_revenue_counts_paid_orders_by_day_newest_first(shop: Shop) -> None:
    days = (await shop.get("/metrics/daily-revenue", **YEAR))["daily_revenue"]
    assert days[0] == {"order_day": "2024-01-20", "daily_revenue": 1329.98, "total_orders": 1}
    assert len(days) == 14
    assert {"order_day": "2024-01-13", "daily_revenue": 832.88, "total_orders": 3} in days
    assert [day["order_day"] for day in days] == sorted((day["order_day"] for day in days), reverse=True)


async def test_money_is_exact_in_the_answers_text(shop: Shop) -> None:
    response = await shop.query.get("/products/top", params={"days": 365, "as_of": "2024-12-31"})
    assert '"total_revenue":3899.97' in response.text


async def test_top_products_look_back_from_the_day_that_is_asked_for(shop: Shop) -> None:
    top = (await shop.get("/products/top", days=365, limit=5, as_of="2024-12-31"))["top_products"]
    assert top[0] == {
        "product_id": 1,
        "product_name": "Laptop Pro 15",
        "category": "Electronics",
        "total_units_sold": 3,
        "total_revenue": 3899.97,
    }
    assert [product["product_id"] for product in top] == [1, 6, 5, 4, 13]


async def test_retention_tells_who_came_back_on_day_seven(shop: Shop) -> None:
    days = (await shop.get("/metrics/retention", **YEAR))["retention"]
    assert [tuple(day.values()) for day in days] == [
        ("2024-07-01", 2, 1, 50.0, True),
        ("2024-03-11", 2, 0, 0.0, True),
        ("2024-01-10", 2, 1, 50.0, True),
        ("2024-01-08", 1, 1, 100.0, True),
        ("2024-01-03", 3, 2, 66.67, True),
    ]


async def test_the_funnel_narrows_from_stage_to_stage(shop: Shop) -> None:
    stages = (await shop.get("/metrics/funnel", **YEAR))["funnel"]
    assert [tuple(stage.values()) for stage in stages] == [
        ("page_view", 163, 100.0, 100.0),
        ("add_to_cart", 96, 58.9, 58.9),
        ("purchase", 41, 42.71, 25.15),
    ]


async def test_both_doors_say_that_they_are_healthy(running: Shop) -> None:
    for client in (running.ingest, running.query):
        response = await client.get("/health")
        assert response.status_code == 200
        assert response.json()["status"] == "healthy"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", response.json()["timestamp"])


async def test_an_answer_about_numbers_says_how_fresh_it_is(shop: Shop) -> None:
    async def complete() -> bool:
        freshness = (await shop.get("/metrics/funnel"))["freshness"]
        return freshness["lag_seconds"] == 0 and freshness["complete_through"] is not None

    assert await eventually(complete)


@pytest.mark.parametrize(("path", "name"), BAD_PARAMETERS)
async def test_a_bad_parameter_is_named_in_a_clear_422(shop: Shop, path: str, name: str) -> None:
    response = await shop.query.get(path)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert name in response.json()["detail"]


@pytest.mark.parametrize("door", ["ingest", "query"])
async def test_the_interactive_docs_reach_no_other_host(running: Shop, door: str) -> None:
    client: httpx2.AsyncClient = getattr(running, door)
    page = await client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page.text)
    assert links
    for link in links:
        url = urlsplit(urljoin(str(client.base_url), link))
        assert url.scheme == "data" or url.netloc == urlsplit(str(client.base_url)).netloc
        if url.scheme != "data":
            assert (await client.get(url.path)).status_code == 200


@pytest.mark.parametrize("name", ["ingest-api", "query-api", "etl-worker", "file-watcher", "file-loader"])
async def test_every_process_answers_on_its_ops_port(running: Shop, name: str) -> None:
    async with httpx2.AsyncClient(base_url=running.stack.ops_url(name)) as ops:
        for path in ("/health/live", "/health/ready"):
            response = await ops.get(path)
            assert response.status_code == 200, response.text
        metrics = await ops.get("/metrics")
    assert metrics.status_code == 200
    assert "# TYPE tillstream_" in metrics.text
