"""Requests made up from the OpenAPI document get answers that it describes, and never a 500."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ingest_api.answers import PLURAL
from ingest_api.app import App, build
from tillstream.folders import Folders
from tillstream.kafka.records import Outgoing, PublishResult
from tillstream.testing.waiting import eventually

from .conftest import SETTINGS

pytestmark = pytest.mark.unit

EXAMPLES = 8
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


class Acknowledging:
    """A producer that takes everything, in any event loop: the test client makes one per request."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def probe(self) -> None: ...

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        assert deadline_s > 0
        return [PublishResult(0, offset) for offset in range(len(records))]


async def connect(app: App) -> None:
    await app.link.open()
    await eventually(lambda: app.link.connected)


@pytest.fixture
def document(tmp_path: Path) -> Iterator[Any]:
    folders = Folders(tmp_path)
    folders.create()
    app = build(SETTINGS.model_copy(update={"data_dir": tmp_path}), producer=Acknowledging())
    assert app.uploads is not None
    assert app.dry_runs is not None
    asyncio.run(app.uploads.open())
    app.dry_runs.open()
    asyncio.run(connect(app))
    yield schemathesis.openapi.from_asgi("/openapi.json", app.asgi)
    asyncio.run(app.dry_runs.close())
    asyncio.run(app.uploads.close())


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("plural", [*PLURAL.values(), "files"])
def test_made_up_request_gets_a_described_answer(document: Any, plural: str, mode: GenerationMode) -> None:
    operation = document[f"/ingest/{plural}"]["POST"]

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def validate(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    validate()
