"""What the consumer loop tells the process's health and metrics."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, override

from tillstream.clock import Clock
from tillstream.errors import TillstreamError
from tillstream.kafka.records import Place
from tillstream.observe.health import Health, Progress
from tillstream.observe.metrics import Metrics

# A worker measures every second, and readers call what is older than this unknown (the view api.partitions).
UNMEASURED_AFTER_S = 10.0
SERVERS = ("postgres", "kafka")


class Lag(NamedTuple):
    """How far a partition is behind. `behind_s`: seconds since all that was in the log was applied; None where nobody knows."""

    records: int
    behind_s: float | None


class LoopWatch:
    """Told by the loop what happens; this one keeps it to itself."""

    def turned(self) -> None:
        """The loop is alive."""

    def waiting(self, server: str, problem: str) -> None:
        """`server` (postgres or kafka) does not do what it is asked."""

    def reached(self, server: str) -> None:
        """It does again."""

    def retried(self, cause: TillstreamError) -> None:
        """A transaction is run again, or something is waited for."""

    def committed(self, records: int, seconds: float) -> None:
        """A batch counts; `seconds` from its begin to its commit."""

    def taken_over(self, places: Collection[Place]) -> None:
        """These are this process's business now, and no others."""

    def fenced(self, places: Collection[Place]) -> None: ...

    def measured(self, lags: Mapping[Place, Lag], stopped: Collection[Place]) -> None:
        """How far each owned place is behind, and which of them are stopped."""

    def given_up(self, places: Collection[Place]) -> None:
        """These are not this process's business any more."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """A lag and the moment of its measure; `behind_s` as it was then."""

    records: int
    behind_s: float
    at: float


class MetricsWatch(LoopWatch):
    """Passes everything on to health and metrics. `group` is the consumer group's name."""

    def __init__(
        self, metrics: Metrics, health: Health, clock: Clock, progress: Progress, group: str
    ) -> None:
        self._group = group
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._progress = progress
        self._measured: dict[Place, _Measured] = {}
        for server in SERVERS:  # from the start on, or nobody could tell from its absence that all is well
            health.dependency(server)

    @override
    def turned(self) -> None:
        self._progress.touch()

    @override
    def waiting(self, server: str, problem: str) -> None:
        self._health.dependency(server).waiting(problem)

    @override
    def reached(self, server: str) -> None:
        self._health.dependency(server).reached()

    @override
    def retried(self, cause: TillstreamError) -> None:
        self._metrics.apply_retries.labels(type(cause).__name__).inc()

    @override
    def committed(self, records: int, seconds: float) -> None:
        self._metrics.apply_batch_records.observe(records)
        self._metrics.apply_batch_seconds.observe(seconds)
        self._metrics.succeeded("batch", self._clock)

    @override
    def taken_over(self, places: Collection[Place]) -> None:
        self.given_up(self._measured.keys() - set(places))
        for place in places:
            self._metrics.partition_takeovers.labels(place.topic).inc()

    @override
    def fenced(self, places: Collection[Place]) -> None:
        for place in places:
            self._metrics.partition_fenced.labels(place.topic).inc()

    @override
    def measured(self, lags: Mapping[Place, Lag], stopped: Collection[Place]) -> None:
        self.given_up(self._measured.keys() - lags.keys())
        now = self._clock.monotonic()
        for place, lag in lags.items():
            topic, partition = place.topic, str(place.partition)
            if place not in self._measured:
                self._metrics.consumer_lag_seconds.labels(topic, partition).set_function(
                    partial(self._lag_s, place)
                )
            self._measured[place] = _Measured(lag.records, self._behind_s(place, lag, now), now)
            self._metrics.kafka_consumergroup_lag.labels(self._group, topic, partition).set(lag.records)
            self._metrics.partition_stopped.labels(topic, partition).set(place in stopped)

    @override
    def given_up(self, places: Collection[Place]) -> None:
        """Their series end: another process has them now, and two would not add up."""
        for place in self._measured.keys() & set(places):
            topic, partition = place.topic, str(place.partition)
            self._metrics.kafka_consumergroup_lag.remove(self._group, topic, partition)
            self._metrics.consumer_lag_seconds.remove(topic, partition)
            self._metrics.partition_stopped.remove(topic, partition)
            del self._measured[place]

    def _behind_s(self, place: Place, lag: Lag, now: float) -> float:
        """Where nobody knows since when, the time since this process saw it first: at least that."""
        if lag.behind_s is not None:
            return lag.behind_s
        before = self._measured.get(place)
        return 0.0 if before is None else before.behind_s + (now - before.at)

    def _lag_s(self, place: Place) -> float:
        """As of now, so that it grows while nothing is measured: what is in the log by then, nobody knows."""
        measured = self._measured[place]
        unmeasured_s = self._clock.monotonic() - measured.at
        if measured.records == 0 and unmeasured_s <= UNMEASURED_AFTER_S:
            return 0.0
        return measured.behind_s + unmeasured_s
