from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tillstream.contracts.entities import Entity
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.observe import metrics as module
from tillstream.observe.definitions import (
    ACTIVITIES,
    BOUNDS,
    DEFINITIONS,
    Definition,
    Kind,
    Label,
    Process,
)
from tillstream.observe.metrics import Fading, Metrics

pytestmark = pytest.mark.unit


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2024, 1, 20, 10, 30, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def exposed(metrics: Metrics) -> set[str]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {family.name for family in families if not family.name.startswith("process_")}


def test_every_definition_is_exposed_and_nothing_else() -> None:
    wanted = {definition.name.removesuffix("_total") for definition in DEFINITIONS}
    assert exposed(Metrics(CollectorRegistry())) == wanted


@pytest.mark.parametrize("process", Process)
def test_process_exposes_what_concerns_it(process: Process) -> None:
    wanted = {each.name.removesuffix("_total") for each in DEFINITIONS if process in each.processes}
    assert exposed(Metrics(CollectorRegistry(), process)) == wanted


def test_metric_of_another_process_counts_unseen() -> None:
    metrics = Metrics(CollectorRegistry(), Process.QUERY_API)
    metrics.parked_rows.labels("user").set(3)
    assert b"parked" not in metrics.exposition()


def test_two_processes_worth_of_metrics_share_nothing() -> None:
    one, other = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    one.http_requests.labels("/orders", "200").inc()
    assert b'tillstream_http_requests_total{route="/orders",status="200"} 1.0' in one.exposition()
    assert b'route="/orders"' not in other.exposition()


def test_process_wide_registry_stays_empty_of_ours() -> None:
    Metrics(CollectorRegistry())
    assert not any(family.name.startswith("tillstream") for family in REGISTRY.collect())


def test_own_figures_of_the_process_are_exposed() -> None:
    assert b"process_resident_memory_bytes" in Metrics(CollectorRegistry()).exposition()


def test_definition_without_attribute_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = (*DEFINITIONS, replace(DEFINITIONS[0], field="planted"))
    monkeypatch.setattr(module, "DEFINITIONS", planted)
    with pytest.raises(AssertionError, match="planted"):
        Metrics(CollectorRegistry())


def test_last_success_is_unix_time() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.succeeded(ACTIVITIES[0], StoppedClock())
    assert b'last_success_timestamp_seconds{activity="publish"} 1.7057466e+09' in metrics.exposition()


class TickingClock(StoppedClock):
    """Moves when told."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def test_what_is_not_measured_any_more_is_unknown() -> None:
    metrics, clock = Metrics(CollectorRegistry()), TickingClock()
    shown = Fading(metrics.quarantine_open_entries, clock, 60.0)
    name = b"tillstream_quarantine_open_entries"
    assert name + b" NaN" in metrics.exposition()
    shown.set(3)
    clock.seconds = 60.0
    assert name + b" 3.0" in metrics.exposition()
    clock.seconds = 61.0
    assert name + b" NaN" in metrics.exposition()


def test_every_label_says_what_bounds_it() -> None:
    assert set(BOUNDS) == set(Label)
    assert BOUNDS[Label.ACTIVITY] == ", ".join(f"`{activity}`" for activity in ACTIVITIES)
    assert BOUNDS[Label.ENTITY] == ", ".join(f"`{entity}`" for entity in Entity)
    assert BOUNDS[Label.OUTCOME] == ", ".join(f"`{outcome}`" for outcome in OutcomeKind)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.field)
def test_definition_is_complete(definition: Definition) -> None:
    assert definition.meaning.endswith(".")
    assert definition.processes
    assert bool(definition.buckets) == (definition.kind is Kind.HISTOGRAM)
    assert list(definition.buckets) == sorted(definition.buckets)
