"""The composition root of ingest-api: builds the adapters, passes them in, opens and closes them in pairs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from ingest_api.broker_link import BrokerLink
from ingest_api.descriptions import DESCRIPTION, TITLE, components
from ingest_api.drain import DrainRate
from ingest_api.dry_run import DryRun
from ingest_api.ingest_batch import IngestBatch
from ingest_api.parameters import IDEMPOTENCY_HEADER, SOURCE_HEADER
from ingest_api.policy import (
    DEFAULT_DRY_RUN_POLICY,
    DEFAULT_POLICY,
    DEFAULT_UPLOAD_POLICY,
    DryRunPolicy,
    IngestPolicy,
    UploadPolicy,
)
from ingest_api.room import Room
from ingest_api.routes import HEALTH_PATH, Door, add_routes, short_routes
from ingest_api.settings import IngestSettings
from ingest_api.take_upload import TakeUpload
from ingest_api.upload_folder import UploadFolder
from ingest_api.upload_routes import UPLOAD_PATH, UploadDoor, add_upload_route
from ingest_api.used_keys import UsedKeys
from tillstream.clock import Clock, SystemClock
from tillstream.contracts.rules import Rules
from tillstream.errors import TillstreamError
from tillstream.folders import Folders
from tillstream.http.app import make_app
from tillstream.http.limits import BodyLimits
from tillstream.http.middleware import numbered_ids
from tillstream.http.protocol import BoundedHttpProtocol
from tillstream.http.shortcut import ShortRoute
from tillstream.kafka.aio import AioProducer, ProducerPolicy
from tillstream.kafka.ports import Producer
from tillstream.observe.definitions import Process
from tillstream.observe.health import Health
from tillstream.observe.metrics import Metrics
from tillstream.observe.ops import OpsServer
from tillstream.observe.web_server import WebServer

PACKAGE = "tillstream-ingest-api"
# Headers make records alike, so compression pays; in cramjam zstd costs a quarter of lz4's time on such batches.
PRODUCER_POLICY = ProducerPolicy(compression="zstd")


class App:
    """One ingest-api. `web.port` and `ops.port` are the ports in use."""

    def __init__(
        self,
        settings: IngestSettings,
        producer: Producer,
        clock: Clock,
        policy: IngestPolicy,
        upload: UploadPolicy,
        dry_run: DryRunPolicy,
    ) -> None:
        self._policy = policy
        self.metrics = Metrics(CollectorRegistry(), Process.INGEST_API)
        self.health = Health(clock, self.metrics)
        self.link = BrokerLink(producer, policy, clock, self.metrics)
        self.health.add_probe("kafka", self.link.probe)
        ingest = IngestBatch(self.link.publish, clock, settings.shop_timezone, self.metrics, policy)
        room = Room(policy.max_bytes_in_hand, DrainRate(clock), self.metrics, self._is_pressed)
        keys = UsedKeys(policy.max_keys_remembered, self.metrics)
        door = Door(ingest, room, keys, self.health, clock, policy)
        own_limits = {UPLOAD_PATH: BodyLimits(settings.file_max_bytes, upload.pause_s, upload.bytes_per_s)}
        self.asgi = _asgi(settings, self.metrics, policy, own_limits, short_routes(door))
        add_routes(self.asgi, door)
        self.uploads: TakeUpload | None = None
        self.dry_runs: DryRun | None = None
        if settings.data_dir is not None:
            folder = UploadFolder(Folders(settings.data_dir))
            self.uploads = TakeUpload(folder, self.link.publish, clock, self.metrics, upload)
            self.dry_runs = DryRun(
                folder, clock, settings.shop_timezone, self.metrics, dry_run, upload.piece_bytes
            )
        add_upload_route(
            self.asgi,
            UploadDoor(
                self.uploads,
                self.dry_runs,
                lambda: Rules(clock.now(), settings.shop_timezone),
                settings.query_url,
                settings.file_max_bytes,
            ),
        )
        self.web = WebServer(self.asgi, settings.bind_host, settings.ingest_port, BoundedHttpProtocol)
        self.ops = OpsServer(settings.bind_host, settings.ops_port, self.health, self.metrics)

    def _is_pressed(self) -> bool:
        return self.link.waiting_records > self._policy.pressed_records

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything open within, and closed in reverse: not ready, no more requests, no broker, no ops port.

        Raises Misconfigured when a port cannot be had. An absent broker stops nothing: requests get a 503 meanwhile.
        """
        async with AsyncExitStack() as opened:
            await self.ops.start()
            opened.push_async_callback(self.ops.stop)
            await self.link.open()
            opened.push_async_callback(self.link.close)
            if self.uploads is not None:
                await self.uploads.open()
                opened.push_async_callback(self.uploads.close)
            if self.dry_runs is not None:
                self.dry_runs.open()
                opened.push_async_callback(self.dry_runs.close)
            await self.web.start()
            opened.push_async_callback(self.web.stop)
            opened.callback(self.health.stop)
            yield

    async def work(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises what makes the broker out of reach for good, and when the web server ends."""
        asked = asyncio.create_task(stop.wait(), name="stop")
        ended = asyncio.create_task(self.web.failed(), name="web server ended")
        waiting: set[asyncio.Task[Any]] = {asked, ended, self.link.connecting}
        try:
            while not asked.done() and not ended.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if self.link.connecting in done:
                    self.link.connecting.result()
        finally:
            asked.cancel()
            ended.cancel()
        if not stop.is_set():
            raise TillstreamError("The web server ended by itself.")


def build(
    settings: IngestSettings,
    *,
    producer: Producer | None = None,
    clock: Clock | None = None,
    policy: IngestPolicy = DEFAULT_POLICY,
    upload: UploadPolicy = DEFAULT_UPLOAD_POLICY,
    dry_run: DryRunPolicy = DEFAULT_DRY_RUN_POLICY,
) -> App:
    """An app on the real broker and clock, or on what a test brings instead."""
    return App(
        settings,
        producer
        or AioProducer(settings.kafka_bootstrap, client_id=Process.INGEST_API, policy=PRODUCER_POLICY),
        clock or SystemClock(),
        policy,
        upload,
        dry_run,
    )


async def run(settings: IngestSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    app = build(settings)
    async with app.running():
        await app.work(stop)


def _asgi(
    settings: IngestSettings,
    metrics: Metrics,
    policy: IngestPolicy,
    own_limits: dict[str, BodyLimits],
    shortcuts: dict[str, ShortRoute],
) -> FastAPI:
    return make_app(
        title=TITLE,
        version=version(PACKAGE),
        description=DESCRIPTION,
        metrics=metrics,
        new_id=numbered_ids(),
        body_limits=BodyLimits(policy.max_body_bytes, policy.read_s),
        own_body_limits=own_limits,
        cors_origins=settings.cors_origins,
        cors_headers=(SOURCE_HEADER, IDEMPOTENCY_HEADER),
        quiet_routes=frozenset({HEALTH_PATH}),
        components=components(),
        shortcuts=shortcuts,
    )
