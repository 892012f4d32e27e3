"""The composition root of etl-worker: builds the adapters, passes them in, opens and closes them in pairs."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

from prometheus_client import CollectorRegistry

from etl_worker.apply_records import Apply, ApplyRecords
from etl_worker.process import connect_to_same_days, owner
from etl_worker.reject_alarm import AlarmPolicy, RejectAlarm
from etl_worker.settings import WorkerSettings
from etl_worker.watch import ApplyWatch
from tillstream.apply.engine import ApplyPolicy, Engine
from tillstream.apply.replay import Replayer
from tillstream.apply.sweep import Sweeper
from tillstream.clock import Clock, SystemClock
from tillstream.contracts.entities import ENTITY_OF_TOPIC
from tillstream.contracts.plain_columns import PLAIN_FORMS
from tillstream.db.connections import connect
from tillstream.kafka.aio import AioConsumer
from tillstream.kafka.consumer_loop import ConsumerLoop
from tillstream.kafka.policy import LoopPolicy
from tillstream.kafka.ports import Consumer
from tillstream.kafka.steps import Advance, Commit, Steps, commit, fence_advance
from tillstream.kafka.watch import MetricsWatch
from tillstream.observe import logs
from tillstream.observe.definitions import Process
from tillstream.observe.health import Health
from tillstream.observe.metrics import Metrics
from tillstream.observe.ops import OpsServer
from tillstream.settings import load_settings
from tillstream.variables import warn_of_misspelt

# One turn of the loop touches it; the longest thing in a turn is a transaction, which may take two minutes.
CONSUMER_LIMIT_S = 180.0
CONSUMER_READY_S = 10.0  # a mute server makes no error until a statement times out, a minute later


@dataclass(frozen=True, slots=True)
class Ports:
    """What a test may wrap or replace."""

    consumer: Consumer
    clock: Clock
    apply: Apply
    sweeper: Sweeper
    replayer: Replayer
    advance: Advance = field(default_factory=fence_advance)
    commit: Commit = commit


def real_ports(settings: WorkerSettings) -> Ports:
    """The real broker, clock and engine."""
    engine = Engine(ApplyPolicy(parked_for=settings.parked_for))
    return Ports(
        consumer=AioConsumer(
            settings.kafka_bootstrap,
            group=Process.ETL_WORKER,
            client_id=owner(Process.ETL_WORKER),
            forms=PLAIN_FORMS,
        ),
        clock=SystemClock(),
        apply=engine.apply,
        sweeper=Sweeper(engine),
        replayer=Replayer(engine, settings.shop_timezone),
    )


class App:
    """One etl-worker. `ops.port` is the port in use."""

    def __init__(self, settings: WorkerSettings, ports: Ports) -> None:
        self.metrics = Metrics(CollectorRegistry(), Process.ETL_WORKER)
        self.health = Health(ports.clock, self.metrics)
        records = ApplyRecords(
            ports.apply,
            ports.sweeper,
            ports.replayer,
            settings.shop_timezone,
            ApplyWatch(self.metrics, ports.clock),
            RejectAlarm(AlarmPolicy(settings.reject_alarm_share, settings.reject_alarm_records)),
        )
        dsn = settings.database_url.get_secret_value()
        connecting = partial(
            connect_to_same_days,
            partial(connect, dsn, application_name=Process.ETL_WORKER),
            settings.shop_timezone,
        )
        consuming = self.health.progress("consumer", CONSUMER_LIMIT_S, CONSUMER_READY_S)
        self._loop = ConsumerLoop(
            ports.consumer,
            connecting,
            Steps(
                handle=records.handle,
                read=records.read,
                advance=ports.advance,
                commit=ports.commit,
                idle=records.sweep,
            ),
            topics=sorted(ENTITY_OF_TOPIC),
            owner=owner(Process.ETL_WORKER),
            clock=ports.clock,
            watch=MetricsWatch(self.metrics, self.health, ports.clock, consuming, Process.ETL_WORKER),
            policy=LoopPolicy(batch_records=settings.batch_records),
        )
        self.ops = OpsServer(settings.bind_host, settings.ops_port, self.health, self.metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish the batch. Raises what must end the process."""
        await self.ops.start()
        leaving = asyncio.create_task(self._stop_being_ready(stop), name="not ready")
        try:
            await self._loop.run(stop)
        finally:
            leaving.cancel()
            self.health.stop()
            await self.ops.stop()

    async def _stop_being_ready(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.health.stop()


def build(settings: WorkerSettings, ports: Ports | None = None) -> App:
    """An app on the real ports, or on what a test brings instead."""
    return App(settings, ports or real_ports(settings))


async def serve(stop: asyncio.Event) -> None:
    """Settings from the environment, then consume until `stop` is set."""
    logs.configure(Process.ETL_WORKER)
    warn_of_misspelt()
    settings = load_settings(WorkerSettings)
    logs.configure(Process.ETL_WORKER, settings.log_level)
    await build(settings).run(stop)
