"""The composition root of file-loader: builds the adapters, passes them in, opens and closes them in pairs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from etl_worker.file_loader.crew import Crew
from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.jobs import Jobs
from etl_worker.file_loader.load_file import LoadFile, MakeFileRows
from etl_worker.file_loader.over_jobs import OverJobs
from etl_worker.file_loader.queue_jobs import QueueJobs
from etl_worker.file_loader.retention import Keep, Retention
from etl_worker.file_loader.run_jobs import RunJobs, RunPolicy
from etl_worker.file_loader.runs import LoadPolicy
from etl_worker.file_loader.settings import LoaderSettings
from etl_worker.file_loader.tidy_up import TidyUp
from etl_worker.file_loader.watch import LoadWatch
from etl_worker.file_loader.write_chunk import Apply, Wake, WriteChunk
from etl_worker.process import connect_to_same_days, owner
from tillstream.apply.engine import ApplyPolicy, Engine
from tillstream.apply.file_rows import FileRows
from tillstream.apply.sweep import Sweeper
from tillstream.clock import Clock, SystemClock
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.csv.packed import Bounds
from tillstream.db.connections import connect
from tillstream.folders import Folders
from tillstream.kafka.aio import AioConsumer
from tillstream.kafka.consumer_loop import ConsumerLoop
from tillstream.kafka.ports import Consumer
from tillstream.kafka.steps import Commit, Steps, commit
from tillstream.kafka.watch import MetricsWatch
from tillstream.observe.definitions import Process
from tillstream.observe.health import Health
from tillstream.observe.metrics import Metrics
from tillstream.observe.ops import OpsServer

# One chunk touches it, and so does every block that is hashed; a transaction may take two minutes.
JOB_LIMIT_S = 180.0
CONSUMER_LIMIT_S = 180.0
CONSUMER_READY_S = 10.0  # a mute server makes no error until a statement times out, a minute later


@dataclass(frozen=True, slots=True)
class Ports:
    """What a test may wrap or replace."""

    consumer: Consumer
    clock: Clock
    jobs: Jobs
    desk: Desk
    apply: Apply
    wake: Wake
    rows: MakeFileRows = FileRows
    commit: Commit = commit
    over: OverJobs = field(default_factory=OverJobs)


def real_ports(settings: LoaderSettings) -> Ports:
    """The real broker, clock, tables, folders and engine."""
    engine = Engine(ApplyPolicy(parked_for=settings.parked_for))
    return Ports(
        consumer=AioConsumer(
            settings.kafka_bootstrap, group=Process.FILE_LOADER, client_id=owner(Process.FILE_LOADER)
        ),
        clock=SystemClock(),
        jobs=Jobs(),
        desk=Desk(Folders(settings.data_dir), Bounds(settings.file_max_text_bytes, settings.file_max_ratio)),
        apply=engine.apply,
        wake=Sweeper(engine).wake,
    )


class App:
    """One file-loader. `ops.port` is the port in use."""

    def __init__(self, settings: LoaderSettings, ports: Ports) -> None:
        self._settings = settings
        clock = ports.clock
        self.metrics = Metrics(CollectorRegistry(), Process.FILE_LOADER)
        self.health = Health(clock, self.metrics)
        self._ports = ports
        dsn = settings.database_url.get_secret_value()
        self.connect = partial(
            connect_to_same_days,
            partial(connect, dsn, application_name=Process.FILE_LOADER),
            settings.shop_timezone,
        )
        self._crew = Crew(ports.jobs, timedelta(seconds=settings.file_settle_s))
        self.runners = tuple(self._runner(number) for number in range(1, settings.file_parallel + 1))
        tidying = self._watch("tidying")
        folders = Folders(settings.data_dir)
        self.tidy = TidyUp(
            self.connect,
            ports.jobs,
            ports.over,
            ports.desk,
            Retention(folders, _keep(settings), ports.over, clock, tidying),
            tidying,
            postgres=self.health.dependency("postgres").voice(),
            disk=self.health.dependency("folders").voice(),
        )
        self._loops: tuple[RunJobs | TidyUp, ...] = (*self.runners, self.tidy)
        self.queue = QueueJobs(ports.jobs, ports.desk, self._crew.ring)
        consuming = self.health.progress("consumer", CONSUMER_LIMIT_S, CONSUMER_READY_S)
        self._consumer_loop = ConsumerLoop(
            ports.consumer,
            self.connect,
            Steps(handle=self.queue),
            topics=[FILES_TOPIC],
            owner=owner(Process.FILE_LOADER),
            clock=clock,
            watch=MetricsWatch(self.metrics, self.health, clock, consuming, Process.FILE_LOADER),
        )
        self.ops = OpsServer(settings.bind_host, settings.ops_port, self.health, self.metrics)

    @property
    def runner(self) -> RunJobs:
        """The first one."""
        return self.runners[0]

    def _watch(self, name: str) -> LoadWatch:
        """Each loop proves its own progress: one that stands still must not hide behind the others."""
        return LoadWatch(self.metrics, self._ports.clock, self.health.progress(name, JOB_LIMIT_S))

    def _runner(self, number: int) -> RunJobs:
        watch = self._watch("file jobs" if number == 1 else f"file jobs {number}")
        return RunJobs(
            self.connect,
            self._crew,
            self._load(watch),
            watch,
            postgres=self.health.dependency("postgres").voice(),
            disk=self.health.dependency("folders").voice(),
            policy=RunPolicy(settle_s=self._settings.file_settle_s),
        )

    def _load(self, watch: LoadWatch) -> LoadFile:
        settings, ports = self._settings, self._ports
        policy = LoadPolicy(
            chunk_rows=settings.file_chunk_rows,
            chunk_bytes=settings.file_chunk_bytes,
            live_rows=settings.file_live_rows,
            live_share=settings.file_live_share,
            pause_at_lag=settings.file_pause_at_lag,
            max_rejects=settings.file_max_rejects,
            encoding=settings.file_encoding,
        )
        write = WriteChunk(ports.jobs, ports.apply, ports.wake, ports.clock, watch, policy, ports.commit)
        zone = settings.shop_timezone
        return LoadFile(ports.jobs, ports.desk, write, ports.rows, ports.clock, watch, zone, policy)

    async def close(self) -> None:
        """Close the connections of runners and tidying; what was under way is rolled back. May be repeated."""
        for each in self._loops:
            await each.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything open within, and closed in reverse. The loops are the caller's to run: `work`.

        Raises Misconfigured for folders that do not fit and a port that cannot be had.
        """
        folders = Folders(self._settings.data_dir)
        folders.create()
        folders.check()
        async with AsyncExitStack() as opened:
            await self.ops.start()
            opened.push_async_callback(self.ops.stop)
            opened.callback(self.health.stop)
            yield

    async def work(self, stop: asyncio.Event) -> None:
        """Queue and load until `stop` is set; chunks under way are then rolled back. Raises what ended a loop."""
        consuming = asyncio.create_task(self._consumer_loop.run(stop), name=repr(self._consumer_loop))
        working = [asyncio.create_task(each.run(), name=repr(each)) for each in self._loops]
        asked = asyncio.create_task(stop.wait(), name="stop")
        tasks: list[asyncio.Task[Any]] = [consuming, *working, asked]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self.health.stop()
            for task in working:
                task.cancel()
            if stop.is_set():
                await asyncio.wait({consuming, *working})
            for each in (consuming, *working):
                if each.done() and not each.cancelled():
                    each.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _keep(settings: LoaderSettings) -> Keep:
    days = (settings.processed_keep_days, settings.error_keep_days, settings.invalid_keep_days)
    return Keep(*(None if each is None else timedelta(days=each) for each in days))


def build(settings: LoaderSettings, ports: Ports | None = None) -> App:
    """An app on the real ports, or on what a test brings instead."""
    return App(settings, ports or real_ports(settings))


async def run(settings: LoaderSettings, stop: asyncio.Event) -> None:
    """Queue and load until `stop` is set."""
    app = build(settings)
    async with app.running():
        await app.work(stop)
