"""Every bad parameter is named in a clear 4xx, in one shape."""

from base64 import urlsafe_b64encode

import pytest

from .conftest import Api

pytestmark = pytest.mark.integration

LONG = "x" * 321
JOB = "/jobs/01942f1e-7b1a-7c55-9d0e-5f2a6c1b8e40"


def _cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


# what is asked, the parameter that the answer names
BAD = [
    ("/orders?user_id=", "user_id"),
    ("/orders?user_id=one", "user_id"),
    ("/orders?user_id=0", "user_id"),
    ("/orders?user_id=-1", "user_id"),
    ("/orders?user_id=1.0", "user_id"),
    ("/orders?user_id=1_000", "user_id"),
    ("/orders?user_id=%201", "user_id"),
    ("/orders?user_id=01", "user_id"),
    ("/orders?user_id=%2B1", "user_id"),
    ("/orders?user_id=%D9%A1", "user_id"),
    ("/orders?user_id=9223372036854775808", "user_id"),
    (f"/orders?user_id={'9' * 5_000}", "user_id"),
    ("/orders?limit=0", "limit"),
    ("/orders?limit=501", "limit"),
    ("/orders?limit=all", "limit"),
    ("/orders?limit=1&limit=2", "limit"),
    ("/orders?userid=1", "userid"),
    ("/orders?USER_ID=1", "USER_ID"),
    ("/orders/0", "order_id"),
    ("/orders/first", "order_id"),
    ("/orders/9223372036854775808", "order_id"),
    ("/orders/1?user_id=1", "user_id"),
    ("/orders?cursor=", "cursor"),
    ("/orders?cursor=forged", "cursor"),
    ("/orders?cursor=Zm9yZ2Vk%3D", "cursor"),
    (f"/orders?cursor={'A' * 201}", "cursor"),
    (f"/orders?cursor={_cursor('[]')}", "cursor"),
    (f"/orders?cursor={_cursor('["orders",1,1]')}", "cursor"),
    (f"/orders?cursor={_cursor('["orders","2024-01-20T10:30:00",1]')}", "cursor"),
    (f"/orders?cursor={_cursor('["orders","2024-01-20T10:30:00Z",0]')}", "cursor"),
    (f"/orders?cursor={_cursor('["orders","2024-01-20T10:30:00Z",9223372036854775808]')}", "cursor"),
    (f"/orders?cursor={_cursor('["orders", "2024-01-20T10:30:00Z", 1]')}", "cursor"),
    (f"/orders?cursor={_cursor('["quarantine",1]')}", "cursor"),
    (f"/jobs?cursor={_cursor('["jobs","2024-01-20T10:30:00Z","17"]')}", "cursor"),
    (f"/quarantine?cursor={_cursor('["quarantine","1"]')}", "cursor"),
    (f"/parked?cursor={_cursor('["quarantine",1]')}", "cursor"),
    (f"/parked?cursor={_cursor('["parked","event",1,"01942f1e-7b1a-7c55-9d0e-5f2a6c1b8e40"]')}", "cursor"),
    ("/metrics/daily-revenue?from=2024-02-30", "from"),
    ("/metrics/daily-revenue?from=2024-2-3", "from"),
    ("/metrics/daily-revenue?from=20240203", "from"),
    ("/metrics/daily-revenue?from=1706745600", "from"),
    ("/metrics/daily-revenue?from=2024-02-03T00:00:00Z", "from"),
    ("/metrics/daily-revenue?from=1969-12-31", "from"),
    ("/metrics/daily-revenue?to=9999-12-31", "to"),
    ("/metrics/daily-revenue?to=today", "to"),
    ("/metrics/daily-revenue?first_day=2024-01-01", "first_day"),
    ("/metrics/daily-revenue?from=2024-02-02&to=2024-02-01", "from"),
    ("/metrics/daily-revenue?from=2025-01-01", "from"),
    ("/metrics/daily-revenue?from=2000-01-01&to=2024-01-01", "from"),
    ("/metrics/retention?from=2024-02-02&to=2024-02-01", "from"),
    ("/metrics/retention?from=2000-01-01", "from"),
    ("/metrics/retention?to=", "to"),
    ("/metrics/funnel?from=2024-02-02&to=2024-02-01", "from"),
    ("/metrics/funnel?from=2000-01-01&to=2024-01-01", "from"),
    ("/metrics/funnel?from=yesterday", "from"),
    ("/metrics/funnel?days=7", "days"),
    ("/products/top?days=0", "days"),
    ("/products/top?days=3651", "days"),
    ("/products/top?days=7d", "days"),
    ("/products/top?limit=0", "limit"),
    ("/products/top?limit=501", "limit"),
    ("/products/top?as_of=31.12.2024", "as_of"),
    ("/products/top?as_of=2024-12-31&as_of=2024-12-30", "as_of"),
    ("/jobs?status=lost", "status"),
    ("/jobs?file_name=", "file_name"),
    (f"/jobs?file_name={LONG}", "file_name"),
    ("/jobs?source=", "source"),
    ("/jobs?file_name=a%00b", "file_name"),
    ("/jobs?limit=-1", "limit"),
    ("/jobs/17", "job_id"),
    ("/jobs/17/rejects.csv", "job_id"),
    (f"{JOB}?limit=1", "limit"),
    (f"{JOB}/rejects.csv?limit=1", "limit"),
    ("/quarantine?reason=because", "reason"),
    ("/quarantine?source=", "source"),
    ("/quarantine?source=%0A", "source"),
    (f"/quarantine?source={LONG}", "source"),
    ("/quarantine?open=true", "open"),
    ("/parked?waits_for=event", "waits_for"),
    ("/parked?parent_id=0", "parent_id"),
    ("/parked?source=%0A", "source"),
    ("/parked?entity=order", "entity"),
    (f"/events/{LONG}/receipt", "event_id"),
    ("/events/a%00b/receipt", "event_id"),
    ("/events/17/receipt?source=", "source"),
    ("/events/17/receipt?from=shop", "from"),
    ("/freshness?topic=shop.events.v1", "topic"),
    ("/health?verbose=1", "verbose"),
]


async def test_every_bad_parameter_is_named_in_a_problem(api: Api) -> None:
    wrong = []
    for path, name in BAD:
        response = await api.client.get(path)
        problem = response.json()
        named = [error["name"] for error in problem.get("errors", [])]
        seen = (response.status_code, response.headers["content-type"], problem["status"], named)
        if seen != (422, "application/problem+json", 422, [name]) or name not in problem["detail"]:
            wrong.append((path[:100], problem))
        if LONG[:100] in response.text or "9" * 100 in response.text:
            wrong.append((path[:100], "echoes too much"))
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "/metrics/daily-revenue?from=0001-01-01",
            "Parameter from: Input should be a day from 1970-01-01 through 9999-01-01.",
        ),
        (
            "/orders?cursor=a.b",
            "Parameter cursor: Input should be the `next_cursor` of the page before, unchanged.",
        ),
        (
            "/quarantine?source=a%0A",
            "Parameter source: Input should have no control characters, such as a line break or a tab.",
        ),
    ],
)
async def test_a_broken_rule_is_told_in_words(api: Api, path: str, sentence: str) -> None:
    assert (await api.client.get(path)).json()["detail"] == sentence


async def test_all_bad_parameters_are_named_together(api: Api) -> None:
    problem = (await api.client.get("/orders?user_id=x&limit=0&page=2")).json()
    assert sorted(error["name"] for error in problem["errors"]) == ["limit", "page", "user_id"]


async def test_a_parameter_with_an_endless_name_is_not_echoed_whole(api: Api) -> None:
    response = await api.client.get(f"/orders?{'y' * 20_000}=1")
    assert response.status_code == 422
    assert len(response.content) < 1_000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/orders/1/items", 404),
        ("GET", "/orders/", 404),
        ("GET", "/events//receipt", 422),
        ("POST", "/orders", 405),
        ("DELETE", "/jobs/0190163d-8694-7394-8a1c-1d2d3b2c5aff", 405),
    ],
)
async def test_what_is_not_there_is_a_problem_too(api: Api, method: str, path: str, status: int) -> None:
    response = await api.client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


async def test_the_body_of_a_question_is_not_even_read(api: Api) -> None:
    response = await api.client.request("GET", "/orders", content=b"x" * 100_000)
    assert (response.status_code, response.json()["orders"]) == (200, [])
