"""What a person or a probe sees of the door."""

import re

import pytest
from structlog.testing import capture_logs

from ingest_api.answers import PLURAL
from ingest_api.settings import IngestSettings
from tillstream.contracts.encodings import DECLARABLE_OF_A_FILE
from tillstream.observe.health import PROBE_AGE_S
from tillstream.testing.builders import event_item

from .conftest import NOW, Bench, open_bench

pytestmark = pytest.mark.unit

ORIGIN = "https://shop.example"


async def test_healthy_door_says_so(bench: Bench) -> None:
    answer = await bench.client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "timestamp": NOW.isoformat().replace("+00:00", "Z")}


async def test_door_without_its_broker_is_degraded_until_it_is_back(bench: Bench) -> None:
    bench.broker.up = False
    answer = await bench.client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["status"] == "degraded"
    assert list(answer.json()["problems"]) == ["kafka"]
    assert bench.count("waiting_for_dependency", dependency="kafka") == 1
    bench.broker.up = True
    bench.clock.seconds += PROBE_AGE_S
    assert (await bench.client.get("/health")).status_code == 200
    assert bench.count("waiting_for_dependency", dependency="kafka") == 0


async def test_stopping_door_is_degraded(bench: Bench) -> None:
    bench.app.health.stop()
    assert (await bench.client.get("/health")).json()["status"] == "degraded"


async def test_request_is_logged_as_a_sentence_and_health_checks_are_not(bench: Bench) -> None:
    with capture_logs() as lines:
        await bench.post([event_item()])
        await bench.client.get("/health")
    told = [line for line in lines if line["log_level"] == "info"]
    assert [line["event"] for line in told] == ["Answered POST /ingest/events with 202."]


async def test_documentation_page_refers_to_no_other_host(bench: Bench) -> None:
    page = await bench.client.get("/docs")
    assert page.status_code == 200
    assert not re.search(r"""(?:https?:)?//[^\s"']""", page.text)


async def test_document_describes_every_route_with_schema_and_examples(bench: Bench) -> None:
    document = (await bench.client.get("/openapi.json")).json()
    assert sorted(document["paths"]) == sorted(
        ["/health", "/ingest/files", *(f"/ingest/{plural}" for plural in PLURAL.values())]
    )
    for entity, plural in PLURAL.items():
        operation = document["paths"][f"/ingest/{plural}"]["post"]
        assert set(operation["responses"]) == {"202", "400", "408", "413", "415", "422", "429", "503"}
        content = operation["requestBody"]["content"]
        assert set(content) == {"application/json", "application/x-ndjson"}
        assert content["application/json"]["examples"]
        many, one = content["application/json"]["schema"]["anyOf"]
        assert many["items"] == one
        name = one["$ref"].removeprefix("#/components/schemas/")
        schema = document["components"]["schemas"][name]
        assert schema["additionalProperties"] is False
        own_key = "user_id" if entity.value == "event" else f"{entity}_id"
        assert own_key in schema["required"]


async def test_document_describes_the_upload_with_its_parameters(bench: Bench) -> None:
    operation = (await bench.client.get("/openapi.json")).json()["paths"]["/ingest/files"]["post"]
    parameters = {each["name"]: each for each in operation["parameters"]}
    assert set(parameters) == {
        *("name", "source", "as_of", "encoding", "dry_run"),
        *("X-Source", "Idempotency-Key"),
    }
    known = next(each["enum"] for each in parameters["encoding"]["schema"]["anyOf"] if "enum" in each)
    assert known == list(DECLARABLE_OF_A_FILE)
    assert parameters["name"]["required"]
    assert all(each["description"] for each in parameters.values())
    assert set(operation["responses"]) == {
        *("200", "202"),
        *("404", "408", "409", "413", "415", "422", "503", "507"),
    }
    diagnosis = operation["responses"]["200"]["content"]["application/json"]
    # FastAPI leaves what is null out of examples.
    assert set(diagnosis["schema"]["required"]) == {*diagnosis["example"], "error", "note"}
    assert "text/csv" in operation["requestBody"]["content"]


async def test_every_reference_of_the_document_leads_somewhere(bench: Bench) -> None:
    answer = await bench.client.get("/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    for name in re.findall(r'"\$ref":"#/components/schemas/(\w+)"', answer.text.replace('": "', '":"')):
        assert name in schemas


async def test_browsers_of_other_origins_are_let_in_by_setting_only(bench: Bench) -> None:
    assert "access-control-allow-origin" not in (await bench.post([event_item()], origin=ORIGIN)).headers
    settings = IngestSettings(ingest_port=0, ops_port=0, cors_origins=(ORIGIN,))
    async with open_bench(settings=settings) as open_door:
        answer = await open_door.post([event_item()], origin=ORIGIN)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        asked = await open_door.client.options(
            "/ingest/events",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type,idempotency-key,x-source",
            },
        )
        assert asked.status_code == 200
