"""The edge: parameters in, answers out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Header, Query
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
from tillstream.http.problems import Problem
from tillstream.observe.health import Health

HEALTH_PATH = "/health"
SOURCE_HEADER = "X-Source"
IDEMPOTENCY_HEADER = "Idempotency-Key"
SOURCE_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"
IDEMPOTENCY_PATTERN = r"^[!-~]{1,255}$"

SourceParameter = Annotated[
    str | None, Query(pattern=SOURCE_PATTERN, description="Who sends it; the same as the header X-Source.")
]
SourceHeader = Annotated[
    str | None,
    Header(
        alias=SOURCE_HEADER,
        pattern=SOURCE_PATTERN,
        description=f"The application or partner that sends it; ids belong to it. `{DEFAULT_SOURCE}` by default.",
    ),
]
IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_HEADER,
        pattern=IDEMPOTENCY_PATTERN,
        description="Unique to this body, best a UUID. The same body under the same key is stored once.",
    ),
]


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
        )
    app.add_api_route(
        HEALTH_PATH,
        _health(door),
        methods=["GET"],
        summary="Whether the door takes records now",
        responses=HEALTH_RESPONSES,
        tags=["health"],
        operation_id="health",
    )


def ingest_path(entity: Entity) -> str:
    return f"/ingest/{PLURAL[entity]}"


def _ingest(entity: Entity, door: Door) -> Callable[..., Awaitable[Response]]:
    route = ingest_path(entity)

    async def ingest(
        request: Request,
        source: SourceParameter = None,
        source_header: SourceHeader = None,
        idempotency_key: IdempotencyHeader = None,
    ) -> Response:
        sender = _one_source(source, source_header)
        kind = media_type(request.headers)
        with door.room.seat() as seat:
            body = await read_body(request.receive, seat)
            items = items_of(body, kind, door.policy)
            batch = Batch(entity, route, sender, items, retry_key(entity, idempotency_key))
            return answer(batch, await door.ingest.run(batch), door.policy)

    return ingest


def _health(door: Door) -> Callable[[], Awaitable[Response]]:
    async def health() -> Response:
        report = await door.health.ready()
        status = "healthy" if report.ok else "degraded"
        body = {"status": status, "timestamp": door.clock.now(), "problems": report.problems}
        if report.ok:
            del body["problems"]
        return json_response(body, 200 if report.ok else 503)

    return health


def _one_source(parameter: str | None, header: str | None) -> str:
    if parameter is not None and header is not None and parameter != header:
        raise Problem(422, f"Parameter source: it differs from the header {SOURCE_HEADER}.")
    return parameter or header or DEFAULT_SOURCE
