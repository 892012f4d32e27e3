"""The OpenAPI document: its examples keep its schemas, its routes keep its promises, its page needs no other host."""

import asyncio
import re
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import TypeAdapter
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from query_api import answers as models
from query_api.routes import examples
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.testing.shop_rows import LONG_AGO, ShopRows

from .conftest import Api, Json

pytestmark = pytest.mark.integration

ROUTES = [
    "/events/{event_id}/receipt",
    "/freshness",
    "/health",
    "/jobs",
    "/jobs/{job_id}",
    "/jobs/{job_id}/rejects.csv",
    "/metrics/daily-revenue",
    "/metrics/funnel",
    "/metrics/retention",
    "/orders",
    "/orders/{order_id}",
    "/parked",
    "/products/top",
    "/quarantine",
]
EXAMPLES_PER_ROUTE = 10


async def _document(api: Api) -> Json:
    return await api.get("/openapi.json")


def _closed(schema: Any) -> Any:
    """The schema, but without a place for fields that it does not name."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema else closed


async def test_every_route_is_documented(api: Api) -> None:
    assert sorted((await _document(api))["paths"]) == ROUTES


EXAMPLES = [
    (models.Health, examples.HEALTH),
    (models.Orders, examples.ORDERS),
    (models.Order, examples.ORDER),
    (models.DailyRevenue, examples.DAILY_REVENUE),
    (models.TopProducts, examples.TOP_PRODUCTS),
    (models.Retention, examples.RETENTION),
    (models.Funnel, examples.FUNNEL),
    (models.Jobs, examples.JOBS),
    (models.Job, examples.JOB),
    (models.Quarantine, examples.QUARANTINE),
    (models.Receipt, examples.RECEIPT),
    (models.FreshnessReport, examples.FRESHNESS_REPORT),
]


@pytest.mark.parametrize(("model", "example"), EXAMPLES, ids=lambda each: getattr(each, "__name__", ""))
def test_an_example_has_the_fields_of_its_answer_and_no_others(model: Any, example: Json) -> None:
    schema = _closed(TypeAdapter(model).json_schema())
    assert list(jsonschema_rs.iter_errors(schema, example)) == []


async def test_the_document_shows_an_example_for_every_answer(api: Api) -> None:
    document = await _document(api)
    for path, operations in document["paths"].items():
        for status, response in operations["get"]["responses"].items():
            for content in response["content"].values():
                assert content["example"], (path, status)


CHECKS = [
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    schemathesis.checks.not_a_server_error,
]
BOUNDED = settings(
    max_examples=EXAMPLES_PER_ROUTE,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _fill(rows: ShopRows) -> None:
    """Something of everything, so that schemas are compared with more than empty lists."""
    rows.product(1)
    rows.order(1, LONG_AGO, items=[(1, 1, "1.00")])
    rows.event(1, LONG_AGO)
    rows.all_applied(LONG_AGO)
    rows.parked()
    rows.refused()
    rows.job("running", started_at=LONG_AGO, kind="order")
    rows.progress(
        "shop.events.v1",
        0,
        next_offset=1,
        log_end=2,
        measured_at=LONG_AGO,
        stopped_at=LONG_AGO,
        stop_reason="r",
    )


def _probe(document: Json, base_url: str, path: str, mode: schemathesis.GenerationMode) -> None:
    """Asks one route what the document allows, or forbids, and holds the answers against the document."""
    operation = schemathesis.openapi.from_dict(document)[path]["GET"]

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        response = case.call(base_url=base_url)
        case.validate_response(response, checks=CHECKS)

    ask()


@pytest.mark.parametrize("path", ROUTES)
async def test_whatever_is_asked_the_answer_is_one_that_the_document_names(
    api: Api, rows: ShopRows, path: str
) -> None:
    _fill(rows)
    document = await _document(api)
    operation = document["paths"][path]["get"]
    modes = [schemathesis.GenerationMode.POSITIVE]
    if operation.get("parameters"):
        modes.append(schemathesis.GenerationMode.NEGATIVE)
    for mode in modes:
        await asyncio.to_thread(_probe, document, str(api.client.base_url), path, mode)


async def test_every_answer_keeps_its_schema_when_there_is_something_to_show(
    api: Api, rows: ShopRows
) -> None:
    _fill(rows)
    document = await _document(api)
    wholes = [
        "/orders",
        "/orders/1",
        "/jobs",
        "/quarantine",
        "/parked",
        "/freshness",
        "/health",
        "/metrics/funnel",
    ]
    ranges = ["/metrics/daily-revenue", "/metrics/retention"]
    questions: list[tuple[str, dict[str, Any]]] = [
        *((path, {}) for path in wholes),
        *((path, {"from": "2024-01-01", "to": "2024-01-02"}) for path in ranges),
        ("/products/top", {"as_of": "2024-01-01"}),
    ]
    for path, parameters in questions:
        template = path.replace("/1", "/{order_id}")
        assert _breaches(document, template, await api.get(path, **parameters)) == [], path


async def test_a_file_job_that_could_not_be_read_is_told_within_the_schema(api: Api, rows: ShopRows) -> None:
    message_id = rows.refused(b"{", entity="file", reason="invalid_record", topic=FILES_TOPIC)
    document = await _document(api)
    quarantine = await api.get("/quarantine")
    receipt = await api.get(f"/events/{message_id}/receipt")
    assert [entry["entity"] for entry in quarantine["quarantine"]] == [receipt["entity"]] == ["file"]
    assert _breaches(document, "/quarantine", quarantine) == []
    assert _breaches(document, "/events/{event_id}/receipt", receipt) == []


def _breaches(document: Json, template: str, answer: Json) -> list[object]:
    """Where an answer is not what the document says of it."""
    content = document["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]
    schema = _closed({**content["schema"], "components": document["components"]})
    return list(jsonschema_rs.iter_errors(schema, answer))


async def test_the_interactive_page_takes_everything_from_this_process(api: Api) -> None:
    page = await api.client.get("/docs")
    assert page.status_code == 200
    assert re.findall(r"https?://[^\s\"'<]+", page.text) == []
    for asset in re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text):
        assert (await api.client.get(asset)).status_code == 200, asset
