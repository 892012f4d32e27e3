"""The composition root of file-watcher: builds the adapters, passes them in, opens and closes them in pairs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import CollectorRegistry

from file_watcher.claim import Claimer, ClaimPolicy
from file_watcher.defaults import Defaults
from file_watcher.disk_thread import DiskThread
from file_watcher.emit import EmitPolicy, Emitter
from file_watcher.hints import Hints
from file_watcher.markers import MarkerRule
from file_watcher.meta import Metas
from file_watcher.refusals import Refusals
from file_watcher.settings import WatcherSettings
from file_watcher.stability import Stability
from file_watcher.stuck import Stuck
from file_watcher.watch import Watch, WatchPolicy
from tillstream.clock import Clock, SystemClock
from tillstream.contracts.rules import is_text
from tillstream.errors import Misconfigured
from tillstream.folders import Folders
from tillstream.kafka.aio import AioProducer
from tillstream.kafka.ports import Producer
from tillstream.observe.definitions import Process
from tillstream.observe.health import Health
from tillstream.observe.metrics import Metrics
from tillstream.observe.ops import OpsServer

# A scan touches it after every look at a name and every claim; hashing or copying does not happen here.
SCAN_LIMIT_S = 30.0


class App:
    """One file-watcher. `ops.port` is the port in use."""

    def __init__(self, settings: WatcherSettings, producer: Producer, clock: Clock) -> None:
        if not is_text(settings.file_source):
            raise Misconfigured("TILLSTREAM_FILE_SOURCE must be a text of 1 to 320 characters.")
        self.metrics = Metrics(CollectorRegistry(), Process.FILE_WATCHER)
        self.health = Health(clock, self.metrics)
        self.health.add_probe("kafka", producer.probe)
        self.folders = Folders(settings.data_dir)
        self._producer = producer
        self._clock = clock
        self.is_open = False
        claiming = asyncio.Lock()
        policy = EmitPolicy(again_s=settings.file_emit_again_s)
        kafka = self.health.dependency("kafka")
        refusals = Refusals(self.folders, clock)
        self.emitter = Emitter(
            self.folders,
            producer,
            policy,
            clock,
            self.metrics,
            kafka,
            self._thread("emitter"),
            claiming,
            refusals,
        )
        markers = MarkerRule(settings.file_marker)
        claims = ClaimPolicy(settings.file_max_bytes, markers, settings.file_source)
        stuck = Stuck(self.folders.input, settings.file_alarm_after_s, clock, self.metrics)
        self.watch = Watch(
            self.folders,
            Claimer(
                self.folders,
                claims,
                clock,
                stuck,
                self.metrics,
                Metas(self.folders, clock, settings.shop_timezone),
                Defaults(clock, settings.shop_timezone),
                refusals,
            ),
            Stability(settings.file_stable_s, clock),
            stuck,
            Stability(settings.file_alarm_after_s, clock),
            self.emitter,
            WatchPolicy(settings.file_source, markers, settings.file_scan_s),
            clock,
            self.metrics,
            self.health.dependency("folders"),
            self.health.progress("scan", SCAN_LIMIT_S + settings.file_scan_s),
            self._thread("scan"),
            claiming,
        )
        self.hints = Hints(
            self.folders.input, self.watch.hint, self.health, self.metrics, self._thread("hints")
        )
        self.ops = OpsServer(settings.bind_host, settings.ops_port, self.health, self.metrics)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything open within, and closed in reverse. The loops are the caller's to run: `work`.

        Raises Misconfigured for folders that do not fit and a port that cannot be had.
        """
        async with AsyncExitStack() as opened:
            await self.ops.start()
            opened.push_async_callback(self.ops.stop)
            await self._try_out_the_folders()
            opened.push_async_callback(self._producer.stop)
            opened.callback(self.hints.stop)
            await self.hints.start()
            opened.callback(self.health.stop)
            self.is_open = True
            yield

    def _thread(self, name: str) -> DiskThread:
        return DiskThread(name, self._clock, self.health.dependency("folders").voice())

    async def _try_out_the_folders(self) -> None:
        """Not ready before; where they do not answer, that is told like later on."""
        folders = self.health.dependency("folders")
        folders.waiting("The folders have not answered yet.")
        thread = self._thread("start")
        await thread.run(self.folders.create)
        await thread.run(self.folders.check)
        folders.reached()

    async def serve(self, stop: asyncio.Event) -> None:
        """Open, work and close. A start that waits for a mount is given up when `stop` is set."""
        serving = asyncio.create_task(self._serve(stop), name="serve")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not self.is_open:
                serving.cancel()
            await asyncio.wait({serving})
        finally:  # where this is cancelled itself, too
            stopping.cancel()
            serving.cancel()
            await asyncio.wait({serving})
        if not serving.cancelled():
            serving.result()

    async def _serve(self, stop: asyncio.Event) -> None:
        async with self.running():
            await self.work(stop)

    async def work(self, stop: asyncio.Event) -> None:
        """Claim and send until `stop` is set. Raises what ended a loop. What is cut short is done again after the next start."""
        try:
            async with asyncio.TaskGroup() as loops:
                running = [
                    loops.create_task(self.watch.run(), name=repr(self.watch)),
                    loops.create_task(self.emitter.run(), name=repr(self.emitter)),
                    loops.create_task(self.hints.run(), name=repr(self.hints)),
                ]
                await stop.wait()
                for each in running:
                    each.cancel()
        except ExceptionGroup as ended:
            raise ended.exceptions[0] from ended  # its class decides how the process ends


def build(settings: WatcherSettings, *, producer: Producer | None = None, clock: Clock | None = None) -> App:
    """An app on the real broker and clock, or on what a test brings instead."""
    return App(
        settings,
        producer or AioProducer(settings.kafka_bootstrap, client_id=Process.FILE_WATCHER),
        clock or SystemClock(),
    )


async def run(settings: WatcherSettings, stop: asyncio.Event) -> None:
    """Watch until `stop` is set."""
    await build(settings).serve(stop)
