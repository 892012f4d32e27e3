"""The edge: parameters in, answers out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from ingest_api.answers import PLURAL, answer
from ingest_api.descriptions import HEALTH_RESPONSES, request_body, responses, summary
from ingest_api.ingest_batch import AllAccepted, Batch, IngestBatch, Result, retry_key
from ingest_api.parameters import (
    IDEMPOTENCY_HEADER,
    SOURCE_HEADER,
    IdempotencyHeader,
    IngestParameters,
    SourceHeader,
    one_source,
)
from ingest_api.plain_parameters import Incoming, address_of, plain_parameters
from ingest_api.policy import IngestPolicy
from ingest_api.read_body import media_type, read_body
from ingest_api.room import Client, Room
from ingest_api.used_keys import Use, UsedKeys
from tillstream.clock import Clock
from tillstream.contracts.entities import Entity
from tillstream.http.json_response import json_response
from tillstream.http.parameters import Parameters, refuse_repeated, refuse_repeated_headers
from tillstream.http.problems import Problem
from tillstream.http.shortcut import ShortRoute, Taken
from tillstream.observe.health import Health

HEALTH_PATH = "/health"


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes need."""

    ingest: IngestBatch
    room: Room
    keys: UsedKeys
    health: Health
    clock: Clock
    policy: IngestPolicy

    async def take(self, request: Incoming, receive: Receive) -> Response:
        """The one road of a request, whichever way its parameters were read."""
        with self.room.seat(request.client) as seat:
            batch = _batch(request, await read_body(receive, seat))
            result = await self._run(batch, is_new_key=request.idempotency_key is None)
            seat.drained = isinstance(result, AllAccepted) or (bool(result.good) and result.problem is None)
            return answer(batch, result, self.policy, self.room.retry_after_s)

    async def _run(self, batch: Batch, *, is_new_key: bool) -> Result | AllAccepted:
        """A key that the door made is known to nobody until a 503 hands it out."""
        if is_new_key:
            result = await self.ingest.run(batch)
            if isinstance(result, Result) and result.problem is not None:
                self._use_key(batch)
            return result
        use = self._use_key(batch)
        try:
            result = await self.ingest.run(batch)
        except Problem:
            use.drop()
            raise
        if isinstance(result, Result) and not result.good:
            use.drop()
        return result

    def _use_key(self, batch: Batch) -> Use:
        return self.keys.use(batch.route, batch.source, batch.idempotency_key, batch.body)


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


def short_routes(door: Door) -> dict[str, ShortRoute]:
    """The same four routes for requests whose parameters are plainly good; all others go by `add_routes`."""
    return {
        ingest_path(entity): ShortRoute(ingest_path(entity), "POST", _short(entity, door))
        for entity in PLURAL
    }


def ingest_path(entity: Entity) -> str:
    return f"/ingest/{PLURAL[entity]}"


def _batch(request: Incoming, body: bytes) -> Batch:
    entity, _, source, kind, given = request
    return Batch(entity, ingest_path(entity), source, body, kind, retry_key(entity, given))


def _short(entity: Entity, door: Door) -> Callable[[Scope], Taken | None]:
    def take(scope: Scope) -> Taken | None:
        request = plain_parameters(entity, scope)
        return None if request is None else partial(door.take, request)

    return take


def _ingest(entity: Entity, door: Door) -> Callable[..., Awaitable[Response]]:
    async def ingest(
        request: Request,
        query: Annotated[IngestParameters, Query()],
        source_header: SourceHeader = None,
        idempotency_key: IdempotencyHeader = None,
    ) -> Response:
        sender = one_source(query.source, source_header)
        kind = media_type(request.headers)
        client = Client(address_of(request.scope), query.source or source_header or "")
        return await door.take(Incoming(entity, client, sender, kind, idempotency_key), request.receive)

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
