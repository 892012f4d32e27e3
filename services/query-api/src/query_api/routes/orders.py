"""/orders and /orders/{order_id}."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from query_api import answers as models
from query_api.database import Reader
from query_api.orders import find_order, list_orders
from query_api.parameters import Id, OrdersParameters
from query_api.routes import examples
from query_api.routes.guards import answers, missing
from tillstream.http.json_response import json_response
from tillstream.http.parameters import Parameters


def make_router(reader: Reader) -> APIRouter:
    router = APIRouter(tags=["orders"])

    @router.get(
        "/orders",
        summary="Orders with their items, newest first",
        responses=answers(models.Orders, examples.ORDERS),
    )
    async def get_orders(query: Annotated[OrdersParameters, Query()]) -> Response:
        page = await list_orders(reader, user_id=query.user_id, limit=query.limit, cursor=query.cursor)
        return json_response(page)

    @router.get(
        "/orders/{order_id}",
        summary="One order",
        responses={**answers(models.Order, examples.ORDER), **missing("There is no order 7.")},
    )
    async def get_order(order_id: Annotated[Id, Path()], _query: Annotated[Parameters, Query()]) -> Response:
        return json_response(await find_order(reader, order_id))

    return router
