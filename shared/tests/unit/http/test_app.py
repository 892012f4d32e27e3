import re
from collections.abc import AsyncIterator
from decimal import Decimal

import httpx2
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from tillstream.http.docs import ASSETS, ASSETS_PATH
from tillstream.http.json_response import ExactJson
from tillstream.http.limits import MAX_DISCARDED_BYTES
from tillstream.observe.metrics import Metrics

from .conftest import LIMITS, Client, open_client, small_app

pytestmark = pytest.mark.unit

ORIGIN = "https://shop.example"


def problem(answer: httpx2.Response) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"] == "about:blank"
    assert body["title"]
    return body


async def slowly(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_problem_has_the_members_of_rfc_9457_and_its_own(client: Client) -> None:
    answer = await client.get("/problem")
    assert answer.status_code == 409
    assert answer.headers["x-hint"] == "yes"
    assert problem(answer) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "It conflicts.",
        "with": 17,
    }


async def test_bad_parameter_is_named_without_its_value(client: Client) -> None:
    answer = await client.get("/number", params={"at_most": "9" * 50})
    body = problem(answer)
    assert answer.status_code == 422
    assert body["errors"] == [
        {"name": "at_most", "in": "query", "message": "Input should be less than or equal to 10"}
    ]
    assert "at_most" in str(body["detail"])
    assert "999" not in answer.text


async def test_missing_parameter_is_named(client: Client) -> None:
    body = problem(await client.get("/number"))
    assert body["detail"] == "Parameter at_most: Field required."


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/echo", 405)])
async def test_unknown_address_or_method_is_a_problem(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert str(problem(answer)["detail"]).startswith("Th")


async def test_outage_asks_for_a_retry(client: Client) -> None:
    answer = await client.get("/outage")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert problem(answer)["detail"] == "PostgreSQL does not answer."


async def test_bug_is_answered_without_details_and_logged_with_them(client: Client) -> None:
    with capture_logs() as lines:
        answer = await client.get("/bug", headers={"X-Request-Id": "r-1"})
    assert answer.status_code == 500
    assert "planted" not in answer.text
    assert "Traceback" not in answer.text
    assert problem(answer)["detail"]
    assert answer.headers["x-request-id"] == "r-1"
    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert lines[0]["exc_info"] is True


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("abc-1._Z", "abc-1._Z"),
        ("x" * 65, "made-1"),
        ("spaced out", "made-1"),
        ("", "made-1"),
        ("a\tb", "made-1"),
    ],
)
async def test_request_id_is_taken_over_or_made(client: Client, given: str, used: str) -> None:
    answer = await client.post("/echo", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == used


async def test_every_request_is_one_log_line_and_one_count(client: Client, metrics: Metrics) -> None:
    with capture_logs() as lines:
        await client.get("/things/1")
        await client.get("/things/2")
        await client.get("/nowhere/" + "x" * 1_000)
    assert [(line["event"], line["status"]) for line in lines] == [
        ("Answered GET /things/{thing} with 200.", 200),
        ("Answered GET /things/{thing} with 200.", 200),
        ("Answered GET other with 404.", 404),
    ]
    counted = metrics.registry.get_sample_value
    assert counted("tillstream_http_requests_total", {"route": "/things/{thing}", "status": "200"}) == 2
    assert counted("tillstream_http_requests_total", {"route": "other", "status": "404"}) == 1
    assert counted("tillstream_http_request_seconds_count", {"route": "/things/{thing}"}) == 2
    assert counted("tillstream_http_requests_in_flight") == 0


async def test_lines_of_a_quiet_route_are_for_debugging(metrics: Metrics) -> None:
    app = small_app(metrics, quiet_routes=frozenset({"/echo"}))
    async with open_client(app) as client:
        with capture_logs() as lines:
            await client.get("/echo")
    assert [line["log_level"] for line in lines] == ["debug"]


@pytest.mark.parametrize("chunks", [(b"x" * 100,), (b"x" * 60, b"x" * 40)])
async def test_body_at_its_bound_is_read(client: Client, chunks: tuple[bytes, ...]) -> None:
    answer = await client.post("/echo", content=slowly(*chunks))
    assert answer.json() == {"length": LIMITS.max_bytes}


@pytest.mark.parametrize("content", [b"x" * 101, slowly(b"x" * 60, b"x" * 41), slowly(*[b"x" * 50] * 20)])
async def test_body_over_its_bound_is_413(client: Client, content: bytes | AsyncIterator[bytes]) -> None:
    answer = await client.post("/echo", content=content)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert problem(answer)["detail"] == "A body may have 100 bytes at most."


async def test_declared_giant_is_refused_unread(client: Client) -> None:
    read = False

    async def giant() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"x"

    declared = {"Content-Length": str(MAX_DISCARDED_BYTES + 1)}
    answer = await client.post("/echo", content=giant(), headers=declared)
    assert answer.status_code == 413
    assert not read


async def test_endless_body_is_given_up(client: Client) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1_000_000
            yield b"x" * 1_000_000

    answer = await client.post("/echo", content=endless())
    assert answer.status_code == 413
    assert sent <= MAX_DISCARDED_BYTES + 2_000_000


async def test_page_of_docs_refers_to_no_other_host(client: Client) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert not re.search(r"""(?:https?:)?//[^\s"']""", answer.text)
    links = re.findall(r"""(?:href|src)="([^"]+)\"""", answer.text)
    assert sorted(links) == sorted(f"{ASSETS_PATH}/{name}" for name in ASSETS)
    for link in links:
        assert (await client.get(link)).status_code == 200
    assert '"validatorUrl": null' in answer.text


async def test_style_sheet_of_docs_loads_nothing_from_another_host(client: Client) -> None:
    sheet = (await client.get(f"{ASSETS_PATH}/swagger-ui.css")).text
    assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", sheet)
    assert "@import" not in sheet


@pytest.mark.parametrize("name", ["redoc.standalone.js", "..%2f__init__.py", "nothing.js"])
async def test_docs_serve_their_own_files_only(client: Client, name: str) -> None:
    answer = await client.get(f"{ASSETS_PATH}/{name}")
    assert answer.status_code == 404
    assert problem(answer)


async def test_document_has_the_added_schemas(metrics: Metrics) -> None:
    app = small_app(metrics, components={"Thing": {"type": "object"}})
    async with open_client(app) as client:
        document = (await client.get("/openapi.json")).json()
        assert (await client.get("/openapi.json")).json() == document
    assert document["components"]["schemas"]["Thing"] == {"type": "object"}


async def test_other_origins_are_not_let_in_by_default(client: Client) -> None:
    answer = await client.get("/echo", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


async def test_named_origin_may_call_and_read_problems(metrics: Metrics) -> None:
    app = small_app(metrics, cors_origins=(ORIGIN,), cors_headers=("X-Source",))
    async with open_client(app) as client:
        asked = await client.options(
            "/echo",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "x-source,content-type",
            },
        )
        refused = await client.post("/echo", content=b"x" * 101, headers={"Origin": ORIGIN})
        stranger = await client.get("/echo", headers={"Origin": "https://elsewhere.example"})
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert refused.status_code == 413
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in stranger.headers


async def test_plain_values_leave_as_exact_json(app: FastAPI, client: Client) -> None:
    async def price() -> ExactJson:
        return ExactJson({"price": Decimal("1329.90")})

    app.add_api_route("/price", price)
    assert (await client.get("/price")).text == '{"price":1329.90}'
