"""/metrics/daily-revenue, /products/top, /metrics/retention and /metrics/funnel."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from query_api import analytics
from query_api import answers as models
from query_api.database import Reader
from query_api.parameters import RangeParameters, TopProductsParameters
from query_api.routes import examples
from query_api.routes.guards import answers
from tillstream.clock import Clock
from tillstream.http.json_response import json_response

PAID_ONLY = "Counts `paid` orders only, so a figure falls when one of them turns `shipped` or `cancelled`."


def make_router(reader: Reader, clock: Clock) -> APIRouter:
    router = APIRouter(tags=["analytics"])

    @router.get(
        "/metrics/daily-revenue",
        summary="Revenue by shop day, newest day first",
        description=f"{PAID_ONLY} Both ends are included; without them, the last 30 shop days. A day without a paid order has no row.",
        responses=answers(models.DailyRevenue, examples.DAILY_REVENUE),
    )
    async def get_daily_revenue(query: Annotated[RangeParameters, Query()]) -> Response:
        found = await analytics.daily_revenue(reader, clock.now(), query.first_day, query.last_day)
        return json_response(found)

    @router.get(
        "/products/top",
        summary="The products that earned most",
        description=f"{PAID_ONLY} Looks back `days` shop days from today, or from `as_of` where it is given, that day included. "
        "Revenue is quantity times unit price; equal products come in the order of their ids.",
        responses=answers(models.TopProducts, examples.TOP_PRODUCTS),
    )
    async def get_top_products(query: Annotated[TopProductsParameters, Query()]) -> Response:
        found = await analytics.top_products(
            reader, clock.now(), days=query.days, limit=query.limit, as_of=query.as_of
        )
        return json_response(found)

    @router.get(
        "/metrics/retention",
        summary="Who came back seven days after signing up",
        description="By day of signup, newest first: how many users did anything on the seventh shop day after it. "
        "`complete` is false until that day is over. Without a range, the signups of the last 30 shop days.",
        responses=answers(models.Retention, examples.RETENTION),
    )
    async def get_retention(query: Annotated[RangeParameters, Query()]) -> Response:
        found = await analytics.retention(reader, clock.now(), query.first_day, query.last_day)
        return json_response(found)

    @router.get(
        "/metrics/funnel",
        summary="From looking to buying",
        description="Events per stage, with the share of the stage before and of the first. Both ends are optional and included.",
        responses=answers(models.Funnel, examples.FUNNEL),
    )
    async def get_funnel(query: Annotated[RangeParameters, Query()]) -> Response:
        return json_response(await analytics.funnel(reader, query.first_day, query.last_day))

    return router
