"""The edge: parameters in, answers out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from ingest_api.answers import PLURAL, answer
from ingest_api.descriptions import HEALTH_RESPONSES, request_body, responses, summary
from ingest_api.ingest_batch import Batch, IngestBatch, retry_key
from ingest_api.policy import IngestPolicy
from ingest_api.read_body import items_of, media_type, read_body
from ingest_api.room import Room
from tillstream.clock import Clock
from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import DEFAULT_SOURCE
from tillstream.http.json_response import json_response
from tillstream.http.parameters import (
    Form,
    Parameters,
    bad_parameter,
    refuse_repeated,
    refuse_repeated_headers,
)
from tillstream.observe.health import Health

HEALTH_PATH = "/health"
SOURCE_HEADER = "X-Source"
IDEMPOTENCY_HEADER = "Idempotency-Key"

Source = Annotated[
    str,
    Form(r"^[A-Za-z0-9._-]{1,64}$", "be 1 to 64 letters from A to Z, digits, dots, underscores and hyphens"),
]
IdempotencyKey = Annotated[
    str, Form(r"^[!-~]{1,255}$", "be 1 to 255 printable ASCII characters without a space")
]
SourceHeader = Annotated[
    Source | None,
    Header(
        alias=SOURCE_HEADER,
        description=f"The application or partner that sends it; ids belong to it. `{DEFAULT_SOURCE}` by default.",
    ),
]
IdempotencyHeader = Annotated[
    IdempotencyKey | None,
    Header(
        alias=IDEMPOTENCY_HEADER,
        description="Unique to this body, best a UUID. The same body under the same key is stored once.",
    ),
]


class IngestParameters(Parameters):
    source: Source | None = Field(
        default=None, description=f"Who sends it; the same as the header {SOURCE_HEADER}."
    )


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes need."""

    ingest: IngestBatch
    room: Room
    health: Health
    clock: Clock
    policy: IngestPolicy


def add_routes(app: FastAPI, door: Door) -> None:
    """POST /ingest/{events,orders,users,products} and GET /health."""
    once = [Depends(refuse_repeated), Depends(refuse_repeated_headers(SOURCE_HEADER, IDEMPOTENCY_HEADER))]
    for entity in PLURAL:
        app.add_api_route(
            ingest_path(entity),
            _ingest(entity, door),
            methods=["POST"],
            status_code=202,
            summary=summary(entity),
            responses=responses(entity),
            openapi_extra={"requestBody": request_body(entity, door.policy)},
            tags=["ingest"],
            operation_id=f"ingest_{PLURAL[entity]}",
            dependencies=once,
        )
    app.add_api_route(
        HEALTH_PATH,
        _health(door),
        methods=["GET"],
        summary="Whether the door takes records now",
        responses=HEALTH_RESPONSES,
        tags=["health"],
        operation_id="health",
        dependencies=[Depends(refuse_repeated)],
    )


def ingest_path(entity: Entity) -> str:
    return f"/ingest/{PLURAL[entity]}"


def _ingest(entity: Entity, door: Door) -> Callable[..., Awaitable[Response]]:
    route = ingest_path(entity)

    async def ingest(
        request: Request,
        query: Annotated[IngestParameters, Query()],
        source_header: SourceHeader = None,
        idempotency_key: IdempotencyHeader = None,
    ) -> Response:
        sender = _one_source(query.source, source_header)
        kind = media_type(request.headers)
        with door.room.seat() as seat:
            body = await read_body(request.receive, seat)
            items = items_of(body, kind, door.policy)
            batch = Batch(entity, route, sender, items, retry_key(entity, idempotency_key))
            return answer(batch, await door.ingest.run(batch), door.policy)

    return ingest


def _health(door: Door) -> Callable[..., Awaitable[Response]]:
    async def health(_query: Annotated[Parameters, Query()]) -> Response:
        report = await door.health.ready()
        status = "healthy" if report.ok else "degraded"
        body = {"status": status, "timestamp": door.clock.now(), "problems": report.problems}
        if report.ok:
            del body["problems"]
        return json_response(body, 200 if report.ok else 503)

    return health


def _one_source(parameter: str | None, header: str | None) -> str:
    if parameter is not None and header is not None and parameter != header:
        raise bad_parameter("source", f"differs from the header {SOURCE_HEADER}")
    return parameter or header or DEFAULT_SOURCE
