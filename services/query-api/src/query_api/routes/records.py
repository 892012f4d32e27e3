"""/quarantine, /parked, /events/{event_id}/receipt, /freshness and /health."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from query_api import answers as models
from query_api.database import Reader
from query_api.freshness import report_freshness
from query_api.parameters import ParkedParameters, QuarantineParameters, ReceiptParameters, Text
from query_api.parked import list_parked
from query_api.quarantine import list_quarantine
from query_api.receipts import find_receipt
from query_api.routes import examples
from query_api.routes.guards import BAD_PARAMETER, Responses, answers
from tillstream.clock import Clock
from tillstream.http.json_response import json_response
from tillstream.http.parameters import Parameters

HEALTH_PATH = "/health"
_HEALTH: Responses = {
    200: {"model": models.Health, "content": {"application/json": {"example": examples.HEALTH}}},
    **BAD_PARAMETER,
}


def make_router(reader: Reader, clock: Clock) -> APIRouter:
    router = APIRouter(tags=["records"])

    @router.get(
        "/quarantine",
        summary="What was refused and is still open, newest first",
        description="`counts` and `counts_by_source` cover all open entries under the same filters, not only this page.",
        responses=answers(models.Quarantine, examples.QUARANTINE),
    )
    async def get_quarantine(query: Annotated[QuarantineParameters, Query()]) -> Response:
        page = await list_quarantine(
            reader, reason=query.reason, source=query.source, limit=query.limit, cursor=query.cursor
        )
        return json_response(page)

    @router.get(
        "/parked",
        summary="What waits for a parent that has not come, and which parents are missing",
        description="An order waits for its user, an item for its order and product, an event for its user and product.",
        responses=answers(models.Parked, examples.PARKED),
    )
    async def get_parked(query: Annotated[ParkedParameters, Query()]) -> Response:
        page = await list_parked(
            reader,
            waits_for=query.waits_for,
            parent_id=query.parent_id,
            source=query.source,
            limit=query.limit,
            cursor=query.cursor,
        )
        return json_response(page)

    @router.get(
        "/events/{event_id:path}/receipt",
        summary="What became of an event, or of any message by its id",
        description="`unknown` means never seen, or still on its way: compare /freshness. Of an id that came more than once this is"
        " what became of the first content that was applied: an equal copy changes nothing, another content lies in /quarantine as"
        " `id_conflict`.",
        responses=answers(models.Receipt, examples.RECEIPT),
    )
    async def get_receipt(
        event_id: Annotated[Text, Path()], query: Annotated[ReceiptParameters, Query()]
    ) -> Response:
        return json_response(await find_receipt(reader, event_id, query.source))

    @router.get(
        "/freshness",
        summary="How far the tables are behind the log",
        responses=answers(models.FreshnessReport, examples.FRESHNESS_REPORT),
    )
    async def get_freshness(_query: Annotated[Parameters, Query()]) -> Response:
        return json_response(await report_freshness(reader, clock.now()))

    @router.get(
        HEALTH_PATH,
        summary="Whether this process answers",
        description="Whether its database does is told by /health/ready on the ops port.",
        responses=_HEALTH,
    )
    async def get_health(_query: Annotated[Parameters, Query()]) -> Response:
        return json_response({"status": "healthy", "timestamp": clock.now()})

    return router
