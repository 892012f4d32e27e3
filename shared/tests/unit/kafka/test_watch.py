"""What the loop reports, as Prometheus sees it."""

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from tillstream.errors import TransactionConflict
from tillstream.kafka.records import Place
from tillstream.kafka.watch import SERVERS, UNMEASURED_AFTER_S, Lag, MetricsWatch
from tillstream.observe.definitions import Process
from tillstream.observe.health import Health
from tillstream.observe.metrics import Metrics

pytestmark = pytest.mark.unit

ONE, TWO = Place("shop.users.v1", 1), Place("shop.users.v1", 2)


class HandClock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return datetime(2024, 1, 20, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


class Scraped:
    """A watch on metrics and health of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.clock = HandClock()
        metrics = Metrics(self.registry, Process.ETL_WORKER)
        self.health = Health(self.clock, metrics)
        progress = self.health.progress("consumer", 60.0)
        self.watch = MetricsWatch(metrics, self.health, self.clock, progress, "etl-worker")

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def lag(self, place: Place) -> float | None:
        return self.value(
            "kafka_consumergroup_lag",
            consumergroup="etl-worker",
            topic=place.topic,
            partition=str(place.partition),
        )

    def lag_s(self, place: Place) -> float | None:
        return self.value(
            "tillstream_consumer_lag_seconds", topic=place.topic, partition=str(place.partition)
        )


def test_only_what_is_owned_has_a_lag() -> None:
    scraped = Scraped()
    scraped.watch.measured({ONE: Lag(5, 2.0), TWO: Lag(0, 0.0)}, {TWO})
    assert (scraped.lag(ONE), scraped.lag(TWO)) == (5, 0)
    assert scraped.value("tillstream_partition_stopped", topic=TWO.topic, partition="2") == 1
    scraped.watch.given_up([ONE])
    assert (scraped.lag(ONE), scraped.lag_s(ONE)) == (None, None)
    scraped.watch.measured({ONE: Lag(3, 1.0)}, [])
    assert (scraped.lag(ONE), scraped.lag(TWO), scraped.lag_s(TWO)) == (3, None, None)
    scraped.watch.given_up([TWO])


def test_what_went_to_another_process_during_an_outage_has_no_lag_here() -> None:
    scraped = Scraped()
    scraped.watch.measured({ONE: Lag(5, 2.0), TWO: Lag(5, 2.0)}, [])
    scraped.watch.taken_over([TWO])
    assert (scraped.lag(ONE), scraped.lag(TWO)) == (None, 5)
    scraped.watch.taken_over([])
    assert (scraped.lag(TWO), scraped.lag_s(TWO)) == (None, None)


def test_lag_in_seconds_is_the_time_since_all_was_applied() -> None:
    scraped = Scraped()
    scraped.watch.measured({ONE: Lag(5, 30.0), TWO: Lag(0, 0.4)}, [])
    assert (scraped.lag_s(ONE), scraped.lag_s(TWO)) == (30.0, 0.0)
    scraped.clock.seconds += 2.0
    assert (scraped.lag_s(ONE), scraped.lag_s(TWO)) == (32.0, 0.0)
    scraped.watch.measured({ONE: Lag(0, 0.0), TWO: Lag(1, 1.5)}, [])
    assert (scraped.lag_s(ONE), scraped.lag_s(TWO)) == (0.0, 1.5)


def test_lag_in_seconds_grows_while_a_worker_stands_still() -> None:
    scraped = Scraped()
    scraped.watch.measured({ONE: Lag(0, 0.5)}, [])
    scraped.clock.seconds += UNMEASURED_AFTER_S
    assert scraped.lag_s(ONE) == 0.0
    scraped.clock.seconds += 50.0
    assert scraped.lag_s(ONE) == UNMEASURED_AFTER_S + 50.5


def test_where_nobody_knows_since_when_the_lag_counts_from_the_first_look() -> None:
    scraped = Scraped()
    scraped.watch.measured({ONE: Lag(7, None)}, [])
    assert scraped.lag_s(ONE) == 0.0
    for _ in range(3):
        scraped.clock.seconds += 1.0
        scraped.watch.measured({ONE: Lag(7, None)}, [])
    assert scraped.lag_s(ONE) == 3.0
    scraped.watch.measured({ONE: Lag(5, 1.0)}, [])
    assert scraped.lag_s(ONE) == 1.0


async def test_a_server_that_is_away_makes_the_process_unready() -> None:
    scraped = Scraped()
    waits = [scraped.value("tillstream_waiting_for_dependency", dependency=name) for name in SERVERS]
    assert waits == [0, 0]
    scraped.watch.waiting("postgres", "connection refused")
    assert (await scraped.health.ready()).problems == {"postgres": "connection refused"}
    scraped.watch.reached("postgres")
    assert (await scraped.health.ready()).ok


def test_batches_retries_and_changes_of_hands_are_counted() -> None:
    scraped = Scraped()
    scraped.watch.committed(120, 0.02)
    scraped.watch.retried(TransactionConflict("deadlock"))
    scraped.watch.taken_over([ONE, TWO])
    scraped.watch.fenced([ONE])
    assert scraped.value("tillstream_apply_batch_records_sum") == 120
    assert scraped.value("tillstream_apply_retries_total", cause="TransactionConflict") == 1
    assert scraped.value("tillstream_partition_takeovers_total", topic=ONE.topic) == 2
    assert scraped.value("tillstream_partition_fenced_total", topic=ONE.topic) == 1
