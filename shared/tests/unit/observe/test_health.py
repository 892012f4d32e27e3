import asyncio
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from tillstream.errors import BrokerUnavailable
from tillstream.observe import health as module
from tillstream.observe.health import PROBE_AGE_S, Health
from tillstream.observe.metrics import Metrics

pytestmark = pytest.mark.unit


class HeldClock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return datetime(2024, 1, 20, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


class Broker:
    """Something to be asked."""

    def __init__(self) -> None:
        self.up = True
        self.asked = 0

    async def probe(self) -> None:
        self.asked += 1
        if not self.up:
            raise BrokerUnavailable("Kafka does not answer.")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def health(clock: HeldClock, metrics: Metrics) -> Health:
    return Health(clock, metrics)


def gauge(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"tillstream_{name}", labels)


async def test_process_without_dependencies_is_ready_and_live(health: Health) -> None:
    assert (await health.ready()).ok
    assert health.live().ok


async def test_waiting_for_a_dependency_is_not_ready_until_it_is_reached(
    health: Health, metrics: Metrics
) -> None:
    postgres = health.dependency("postgres")
    postgres.waiting("PostgreSQL does not answer.")
    assert (await health.ready()).problems == {"postgres": "PostgreSQL does not answer."}
    assert gauge(metrics, "waiting_for_dependency", dependency="postgres") == 1
    assert gauge(metrics, "ready") == 0
    health.dependency("postgres").reached()
    assert (await health.ready()).ok
    assert gauge(metrics, "waiting_for_dependency", dependency="postgres") == 0
    assert gauge(metrics, "ready") == 1


async def test_failing_probe_is_told_with_its_sentence(
    health: Health, metrics: Metrics, clock: HeldClock
) -> None:
    broker = Broker()
    health.add_probe("kafka", broker.probe)
    broker.up = False
    assert (await health.ready()).problems == {"kafka": "Kafka does not answer."}
    assert gauge(metrics, "waiting_for_dependency", dependency="kafka") == 1
    broker.up = True
    clock.seconds += PROBE_AGE_S
    assert (await health.ready()).ok
    assert gauge(metrics, "waiting_for_dependency", dependency="kafka") == 0


async def test_dependency_is_asked_once_however_many_ask(health: Health, clock: HeldClock) -> None:
    broker = Broker()
    health.add_probe("kafka", broker.probe)
    await asyncio.gather(*(health.ready() for _ in range(50)))
    assert broker.asked == 1
    clock.seconds += PROBE_AGE_S
    await health.ready()
    assert broker.asked == 2


async def test_silent_dependency_costs_a_bounded_time(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROBE_LIMIT_S", 0.01)
    health.add_probe("kafka", asyncio.Event().wait)  # type: ignore[arg-type]
    assert (await health.ready()).problems == {"kafka": "No answer within 0.01 s."}


async def test_probe_with_a_bug_is_no_outage(health: Health) -> None:
    async def probe() -> None:
        raise ZeroDivisionError

    health.add_probe("kafka", probe)
    with pytest.raises(ZeroDivisionError):
        await health.ready()


async def test_stopping_process_is_never_ready_again(health: Health, metrics: Metrics) -> None:
    assert (await health.ready()).ok
    health.stop()
    assert gauge(metrics, "ready") == 0
    assert (await health.ready()).problems == {"process": "The process is stopping."}
    assert health.live().ok


async def test_loop_that_waits_for_a_mute_server_is_live_and_not_ready(
    health: Health, clock: HeldClock
) -> None:
    loop = health.progress("consume", limit_s=90, ready_s=10)
    clock.seconds += 10.5
    assert (await health.ready()).problems == {
        "consume": "No progress for 10.5 s: something does not answer."
    }
    assert health.live().ok
    loop.touch()
    assert (await health.ready()).ok


def test_loop_without_progress_is_not_live(health: Health, clock: HeldClock) -> None:
    loop = health.progress("consume", limit_s=10)
    clock.seconds += 10
    assert health.live().ok
    clock.seconds += 0.5
    assert health.live().problems == {"consume": "No progress for 10.5 s; the limit is 10 s."}
    assert "10.5 s of 10" in repr(loop)
    loop.touch()
    assert health.live().ok
