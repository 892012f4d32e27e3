from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Annotated

import httpx2
import pytest
from fastapi import FastAPI, Query
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from tillstream.errors import DatabaseUnavailable
from tillstream.http.app import make_app
from tillstream.http.json_response import json_response
from tillstream.http.limits import BodyLimits
from tillstream.http.problems import Problem
from tillstream.observe.metrics import Metrics

LIMITS = BodyLimits(max_bytes=100, read_s=0.2)

Client = httpx2.AsyncClient
OpenClient = Callable[[FastAPI], AbstractAsyncContextManager[Client]]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def app(metrics: Metrics) -> FastAPI:
    return small_app(metrics)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[Client]:
    async with open_client(app) as client:
        yield client


@asynccontextmanager
async def open_client(app: FastAPI) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as client:
        yield client


def small_app(metrics: Metrics, **options: object) -> FastAPI:
    """An app with a route for everything that may go wrong."""
    numbers = count(1)
    app = make_app(
        title="Small",
        version="1",
        description="",
        metrics=metrics,
        new_id=lambda: f"made-{next(numbers)}",
        body_limits=LIMITS,
        **options,  # type: ignore[arg-type]
    )
    for path, answer in _ROUTES.items():
        for method in ("GET", "POST"):
            app.add_api_route(path, answer, methods=[method], operation_id=f"{method} {path}")
    return app


async def _echo(request: Request) -> Response:
    return json_response({"length": len(await request.body())})


async def _number(at_most: Annotated[int, Query(ge=1, le=10)]) -> Response:
    return json_response({"at_most": at_most})


async def _problem() -> Response:
    raise Problem(409, "It conflicts.", extra={"with": 17}, headers={"X-Hint": "yes"})


async def _outage() -> Response:
    raise DatabaseUnavailable("PostgreSQL does not answer.")


async def _bug() -> Response:
    raise ZeroDivisionError("planted secret")


_ROUTES: dict[str, Callable[..., Awaitable[Response]]] = {
    "/echo": _echo,
    "/number": _number,
    "/problem": _problem,
    "/outage": _outage,
    "/bug": _bug,
    "/things/{thing}": _echo,
}
