"""The composition root: builds what query-api is made of, opens and closes it in pairs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from query_api.database import Reader, load_statements, watch_pool
from query_api.freshness_watch import FreshnessWatch
from query_api.routes import add_routes
from query_api.routes.records import HEALTH_PATH
from query_api.settings import QuerySettings
from query_api.zone_guard import wait_until_agreed
from tillstream.clock import Clock, SystemClock
from tillstream.contracts.ids import new_id
from tillstream.db.connections import reader_pool
from tillstream.http.app import make_app
from tillstream.http.limits import BodyLimits
from tillstream.http.protocol import BoundedHttpProtocol
from tillstream.observe.definitions import Process
from tillstream.observe.health import Health
from tillstream.observe.logs import configure
from tillstream.observe.metrics import Metrics
from tillstream.observe.ops import OpsServer
from tillstream.observe.web_server import WebServer
from tillstream.settings import load_settings
from tillstream.variables import warn_of_misspelt

SERVICE = "query-api"
VERSION = "0.1.0"
DESCRIPTION = (
    "Answers questions about the shop, read-only. Amounts are exact JSON numbers, moments end in Z, days are days of the "
    "shop. Every answer about numbers says in `freshness` how sure it is."
)
BODY_LIMITS = BodyLimits(max_bytes=0, read_s=5.0)  # questions have no body
CLOSE_POOL_WITHIN_S = 2.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Running:
    """An open service; `agreement` ends when the database was found to keep the same days, or with why it does not. `watching`
    never ends by itself."""

    web: WebServer
    ops: OpsServer
    health: Health
    agreement: asyncio.Task[None]
    watching: asyncio.Task[None]


def make_api(reader: Reader, clock: Clock, metrics: Metrics, settings: QuerySettings) -> FastAPI:
    """The HTTP API alone, without a server."""
    app = make_app(
        title="Tillstream query-api",
        version=VERSION,
        description=DESCRIPTION,
        metrics=metrics,
        new_id=new_id,
        body_limits=BODY_LIMITS,
        cors_origins=settings.cors_origins,
        quiet_routes=frozenset({HEALTH_PATH}),
    )
    add_routes(app, reader, clock)
    return app


@asynccontextmanager
async def opened(settings: QuerySettings, clock: Clock) -> AsyncIterator[Running]:
    """Serves inside the block. The database may be down: until it answers, so does every question, with a 503."""
    metrics = Metrics(CollectorRegistry(), Process.QUERY_API)
    health = Health(clock, metrics)
    pool = reader_pool(
        settings.database_url.get_secret_value(),
        application_name=SERVICE,
        statement_timeout_ms=settings.query_timeout_ms,
        max_size=settings.query_connections,
        wait_timeout_s=settings.query_wait_ms / 1_000,
    )
    reader = Reader(pool, load_statements(), metrics, clock)
    api = make_api(reader, clock, metrics, settings)
    ops = OpsServer(settings.bind_host, settings.ops_port, health, metrics)
    web = WebServer(api, settings.bind_host, settings.query_port, BoundedHttpProtocol)
    async with AsyncExitStack() as stack:
        await pool.open(wait=False)
        stack.push_async_callback(pool.close, CLOSE_POOL_WITHIN_S)
        watch_pool(pool, metrics)
        health.add_probe("postgres", reader.probe)
        stack.push_async_callback(ops.stop)
        await ops.start()
        agreement = asyncio.create_task(
            wait_until_agreed(reader, settings.shop_timezone, health.dependency("postgres")),
            name="zone guard",
        )
        stack.push_async_callback(_end, agreement)
        freshness = FreshnessWatch(reader, metrics)
        watching = asyncio.create_task(freshness.run(), name=repr(freshness))
        stack.push_async_callback(_end, watching)
        stack.push_async_callback(web.stop)
        await web.start()
        stack.callback(health.stop)
        _log.info("Serving questions.", port=web.port, ops_port=ops.port)
        yield Running(web, ops, health, agreement, watching)


async def serve(stop: asyncio.Event) -> int | None:
    """Runs until `stop` is set. Raises Misconfigured where a person has to change something."""
    configure(SERVICE)
    warn_of_misspelt()
    settings = load_settings(QuerySettings)
    configure(SERVICE, settings.log_level)
    async with opened(settings, SystemClock()) as running:
        return await _until_stopped(running, stop)


async def _until_stopped(running: Running, stop: asyncio.Event) -> int | None:
    stopping = asyncio.create_task(stop.wait(), name="stop")
    failing = asyncio.create_task(running.web.failed(), name="web server")
    waiting: set[asyncio.Task[object]] = {stopping, failing, running.agreement, running.watching}
    try:
        while not stopping.done() and not failing.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in done & {running.agreement, running.watching}:
                each.result()
    finally:
        await _end(stopping)
        await _end(failing)
    if stop.is_set():
        return None
    _log.error("The web server ended although nobody stopped it.")
    return 1


async def _end(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.wait({task})
