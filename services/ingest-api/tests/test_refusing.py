"""Requests that are no good as a whole: each status code, and nothing in the log."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from ingest_api.read_body import NDJSON_TYPE
from tillstream.testing.builders import event_item

from .conftest import POLICY, Bench, column, open_bench, problem

pytestmark = pytest.mark.unit

DEEP = 100_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"  \n",
        b"nope",
        b'{"user_id": 1',
        b"[1,]",
        b'[{"user_id": 1}] trailing',
        b'[{"user_id": NaN}]',
        b'[{"user_id": Infinity}]',
        b"\xef\xbb\xbf[]",
        b"\xff\xfe[\x00]\x00",
        b'["\xff"]',
        b'["\x00"]',
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b"{'user_id': 1}",
    ],
    ids=lambda content: repr(content[:20]),
)
async def test_body_that_is_not_json_is_400(bench: Bench, content: bytes) -> None:
    problem(await bench.post(content), 400)
    assert bench.records() == []


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "json", "*/*", ";"],
)  # fmt: skip
async def test_other_content_type_is_415(bench: Bench, content_type: str) -> None:
    body = problem(await bench.post([event_item()], content_type=content_type), 415)
    assert "application/json" in body["detail"]
    assert bench.records() == []


async def test_missing_content_type_is_415(bench: Bench) -> None:
    answer = await bench.client.post("/ingest/events", content=b"[]")
    problem(answer, 415)


async def test_other_charset_is_415(bench: Bench) -> None:
    problem(await bench.post([event_item()], content_type="application/json; charset=utf-16"), 415)


async def test_encoded_body_is_415(bench: Bench) -> None:
    problem(await bench.post([event_item()], content_encoding="gzip"), 415)


@pytest.mark.parametrize(
    ("content", "kind"), [(b"[]", "application/json"), (b"", NDJSON_TYPE), (b"\n \r\n\t\n", NDJSON_TYPE)]
)
async def test_body_without_an_item_is_422(bench: Bench, content: bytes, kind: str) -> None:
    body = problem(await bench.post(content, content_type=kind), 422)
    assert body["detail"] == "The body holds no item."


@pytest.mark.parametrize("content", [b"17", b'"text"', b"null", b"true", b"[[]]", b"[null, 1.5]"])
async def test_batch_without_a_good_item_is_422_in_the_usual_shape(bench: Bench, content: bytes) -> None:
    body = problem(await bench.post(content), 422)
    assert body["inserted"] == 0
    assert body["rejected"] == len(body["invalid_events"]) >= 1
    assert set(column(body["invalid_events"], "reason")) == {"invalid_record"}
    assert body["event_ids"] == body["message_ids"] == []
    assert bench.records() == []


async def test_item_nested_too_deeply_is_refused_as_that_item(bench: Bench) -> None:
    deep = b"[" * 300 + b"]" * 300
    body = problem(await bench.post(b'[{"user_id": ' + deep + b"}]"), 422)
    assert body["invalid_events"][0]["reason"] == "malformed_json"


@pytest.mark.parametrize("kind", ["application/json", NDJSON_TYPE])
async def test_too_many_items_are_413(kind: str) -> None:
    async with open_bench(replace(POLICY, max_items=3)) as bench:
        item = b'{"user_id": 1}'
        content = b"\n".join([item] * 4) if kind == NDJSON_TYPE else b"[" + b",".join([item] * 4) + b"]"
        body = problem(await bench.post(content, content_type=kind), 413)
        assert body["detail"] == "A request may have 3 items at most."


async def test_bound_of_items_may_be_reached() -> None:
    async with open_bench(replace(POLICY, max_items=3)) as bench:
        assert (await bench.post([event_item()] * 3)).json()["inserted"] == 3


@pytest.mark.parametrize("parts", [1, 30])
async def test_body_of_too_many_bytes_is_413(parts: int) -> None:
    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(parts):
            yield b" " * (3_000 // parts)

    async with open_bench(replace(POLICY, max_body_bytes=1_000)) as bench:
        headers = {"content-type": "application/json"}
        answer = await bench.client.post("/ingest/events", content=in_parts(), headers=headers)
        problem(answer, 413)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Source", "with space"),
        ("X-Source", "x" * 65),
        ("X-Source", "söurce".encode("latin-1").decode("latin-1")),
        ("X-Source", "a/b"),
        ("Idempotency-Key", "x" * 256),
        ("Idempotency-Key", "two words"),
    ],
)
async def test_bad_header_is_422_naming_it(bench: Bench, name: str, value: str) -> None:
    headers = {name.encode(): value.encode("latin-1")}
    answer = await bench.client.post("/ingest/events", json=[event_item()], headers=headers)
    body = problem(answer, 422)
    assert body["errors"][0]["name"] == name
    assert bench.records() == []


@pytest.mark.parametrize("name", ["X-Source", "Idempotency-Key"])
@pytest.mark.parametrize("second", ["first", "other"])
async def test_repeated_header_is_422_naming_it(bench: Bench, name: str, second: str) -> None:
    headers = [(name, "first"), (name.lower(), second)]
    answer = await bench.client.post("/ingest/events", json=[event_item()], headers=headers)
    body = problem(answer, 422)
    assert body["errors"] == [{"name": name, "in": "header", "message": "was given more than once"}]
    assert bench.records() == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("sorce=partner9", "sorce"),
        ("SOURCE=partner9", "SOURCE"),
        ("source=a&source=b", "source"),
        ("source=a&source=a", "source"),
        ("source=", "source"),
        ("source=a%0A", "source"),
        ("source_header=a", "source_header"),
    ],
)
async def test_unknown_repeated_or_unfit_parameter_is_422_naming_it(
    bench: Bench, query: str, name: str
) -> None:
    body = problem(await bench.client.post(f"/ingest/events?{query}", json=[event_item()]), 422)
    assert [(each["name"], each["in"]) for each in body["errors"]] == [(name, "query")]
    assert name in body["detail"]
    assert bench.records() == []


async def test_health_refuses_what_it_does_not_know(bench: Bench) -> None:
    problem(await bench.client.get("/health?verbose=1"), 422)


@pytest.mark.parametrize(
    ("path", "headers", "sentence"),
    [
        (
            "/ingest/events?source=a%20b",
            {},
            "Parameter source: Input should be 1 to 64 letters from A to Z, digits, dots, underscores and hyphens.",
        ),
        (
            "/ingest/events",
            {"Idempotency-Key": "two words"},
            "Parameter Idempotency-Key: Input should be 1 to 255 printable ASCII characters without a space.",
        ),
    ],
)
async def test_broken_form_is_told_in_words(
    bench: Bench, path: str, headers: dict[str, str], sentence: str
) -> None:
    answer = await bench.client.post(path, json=[event_item()], headers=headers)
    assert problem(answer, 422)["detail"] == sentence


async def test_document_still_has_the_forms_for_programs(bench: Bench) -> None:
    document = (await bench.client.get("/openapi.json")).json()
    parameters = document["paths"]["/ingest/events"]["post"]["parameters"]
    patterns = {each["name"]: each["schema"]["anyOf"][0]["pattern"] for each in parameters}
    source = "^[A-Za-z0-9._-]{1,64}$"
    assert patterns == {"source": source, "X-Source": source, "Idempotency-Key": "^[!-~]{1,255}$"}


async def test_source_said_twice_and_differently_is_422(bench: Bench) -> None:
    headers = {"X-Source": "acme"}
    answer = await bench.client.post("/ingest/events?source=other", json=[event_item()], headers=headers)
    assert "source" in problem(answer, 422)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/ingest/events", 405), ("POST", "/ingest/things", 404)]
)
async def test_other_addresses_and_methods(bench: Bench, method: str, path: str, status: int) -> None:
    problem(await bench.client.request(method, path), status)


async def test_more_bodies_than_there_is_room_for_are_503() -> None:
    async with open_bench(replace(POLICY, max_bytes_in_hand=100)) as bench:
        answer = await bench.post([event_item()] * 10)
        problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert (await bench.post(b'[{"user_id":1}]')).status_code == 422
        assert (await bench.post(b'[{"user_id":1}]' + b" " * 80)).status_code == 422


@pytest.mark.parametrize(
    "kind",
    [
        "application/json" + ";" * 60_000,
        "application/json;charset*" + "1" * 5_000 + "=x",
        "application/json;a*0=b",
    ],
    ids=["long", "a number of thousands of digits", "in pieces"],
)
async def test_type_of_a_body_that_is_dear_to_read_is_not_read(bench: Bench, kind: str) -> None:
    answer = await bench.post(b"[]", content_type=kind)
    problem(answer, 415)
