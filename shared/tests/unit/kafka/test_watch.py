"""What the loop reports, as Prometheus sees it."""

import pytest
from prometheus_client import CollectorRegistry

from tillstream.clock import SystemClock
from tillstream.errors import TransactionConflict
from tillstream.kafka.records import Place
from tillstream.kafka.watch import MetricsWatch
from tillstream.observe.definitions import Process
from tillstream.observe.health import Health
from tillstream.observe.metrics import Metrics

pytestmark = pytest.mark.unit

ONE, TWO = Place("shop.users.v1", 1), Place("shop.users.v1", 2)


class Scraped:
    """A watch on metrics and health of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        metrics, clock = Metrics(self.registry, Process.ETL_WORKER), SystemClock()
        self.health = Health(clock, metrics)
        self.watch = MetricsWatch(metrics, self.health, clock, self.health.progress("consumer", 60.0))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"tillstream_{name}", labels)

    def lag(self, place: Place) -> float | None:
        return self.value("consumer_lag_records", topic=place.topic, partition=str(place.partition))


def test_only_what_is_owned_has_a_lag() -> None:
    scraped = Scraped()
    scraped.watch.measured({ONE: 5, TWO: 0}, {TWO})
    assert (scraped.lag(ONE), scraped.lag(TWO)) == (5, 0)
    assert scraped.value("partition_stopped", topic=TWO.topic, partition="2") == 1
    scraped.watch.given_up([ONE])
    assert scraped.lag(ONE) is None
    scraped.watch.measured({ONE: 3}, [])
    assert (scraped.lag(ONE), scraped.lag(TWO)) == (3, None)
    scraped.watch.given_up([TWO])


async def test_a_server_that_is_away_makes_the_process_unready() -> None:
    scraped = Scraped()
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
    assert scraped.value("apply_batch_records_sum") == 120
    assert scraped.value("apply_retries_total", cause="TransactionConflict") == 1
    assert scraped.value("partition_takeovers_total", topic=ONE.topic) == 2
    assert scraped.value("partition_fenced_total", topic=ONE.topic) == 1
