"""What the consumer loop tells the process's health and metrics."""

from collections.abc import Collection, Mapping
from typing import override

from tillstream.clock import Clock
from tillstream.errors import TillstreamError
from tillstream.kafka.records import Place
from tillstream.observe.health import Health, Progress
from tillstream.observe.metrics import Metrics


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

    def taken_over(self, places: Collection[Place]) -> None: ...

    def fenced(self, places: Collection[Place]) -> None: ...

    def measured(self, lags: Mapping[Place, int], stopped: Collection[Place]) -> None:
        """Records in each owned log that are not applied, and which of these places are stopped."""

    def given_up(self, places: Collection[Place]) -> None:
        """These are not this process's business any more."""


class MetricsWatch(LoopWatch):
    """Passes everything on to health and metrics."""

    def __init__(self, metrics: Metrics, health: Health, clock: Clock, progress: Progress) -> None:
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._progress = progress
        self._shown: set[Place] = set()

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
        for place in places:
            self._metrics.partition_takeovers.labels(place.topic).inc()

    @override
    def fenced(self, places: Collection[Place]) -> None:
        for place in places:
            self._metrics.partition_fenced.labels(place.topic).inc()

    @override
    def measured(self, lags: Mapping[Place, int], stopped: Collection[Place]) -> None:
        self.given_up(self._shown - lags.keys())
        for place, lag in lags.items():
            self._metrics.consumer_lag_records.labels(place.topic, str(place.partition)).set(lag)
            self._metrics.partition_stopped.labels(place.topic, str(place.partition)).set(place in stopped)
        self._shown |= lags.keys()

    @override
    def given_up(self, places: Collection[Place]) -> None:
        """Their series end: another process has them now, and two would not add up."""
        for place in self._shown.intersection(places):
            for gauge in (self._metrics.consumer_lag_records, self._metrics.partition_stopped):
                gauge.remove(place.topic, str(place.partition))
        self._shown.difference_update(places)
