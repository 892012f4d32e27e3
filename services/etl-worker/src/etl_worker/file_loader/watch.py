"""What a file job tells the process's health and metrics."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

from etl_worker.file_loader.jobs import Statement, UnderWay
from tillstream.apply.applied import Applied
from tillstream.clock import Clock
from tillstream.contracts.entities import Entity
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.errors import TillstreamError
from tillstream.observe.health import Progress
from tillstream.observe.metrics import Metrics

TEXT = "text"
_COLUMN_OF = {kind: kind.value for kind in OutcomeKind} | {
    OutcomeKind.STORED: "loaded",
    OutcomeKind.QUARANTINED: "rejected",
}
QUEUED = "queued"
STATES = (QUEUED, "running")
ENDINGS = ("loaded", "loaded_with_rejects", "duplicate", "archived", "failed")


class LoadWatch:
    """Counts after the commit, never before."""

    def __init__(self, metrics: Metrics, clock: Clock, progress: Progress) -> None:
        self._metrics = metrics
        self._clock = clock
        self._progress = progress
        self._count_from_zero()

    def _count_from_zero(self) -> None:
        """Prometheus does not see it as a rise where a counter comes into being at 427."""
        for state in ENDINGS:
            self._metrics.files_ended.labels(state)
        for kind, (outcome, column) in product(Entity, _COLUMN_OF.items()):
            self._metrics.applied_records.labels(kind, outcome)
            self._metrics.file_rows.labels(kind, column)

    def pulse(self) -> None:
        """The loader is alive."""
        self._progress.touch()

    def retried(self, cause: TillstreamError) -> None:
        self._metrics.apply_retries.labels(type(cause).__name__).inc()

    def loaded(
        self, kind: str, applied: Sequence[Applied], outcomes: Counter[OutcomeKind], size: int, seconds: float
    ) -> None:
        """A chunk of `size` bytes was committed: `applied` of its messages, `outcomes` of all its rows; `seconds` from its begin to
        its commit."""
        for outcome, count in outcomes.items():
            self._metrics.applied_records.labels(kind, outcome).inc(count)
            self._metrics.file_rows.labels(kind, _COLUMN_OF[outcome]).inc(count)
        for reason, count in Counter(each.reason for each in applied if each.reason is not None).items():
            self._metrics.quarantined_records.labels(kind, reason).inc(count)
        self._metrics.file_bytes.inc(size)
        self._metrics.apply_batch_records.observe(outcomes.total())
        self._metrics.apply_batch_seconds.observe(seconds)
        self._metrics.succeeded("file_chunk", self._clock)

    def ended(self, kind: str | None, statement: Statement) -> None:
        label = kind or (TEXT if statement.status == "archived" else "unknown")
        self._metrics.file_load_seconds.labels(label).observe(float(statement.elapsed_seconds))
        self._metrics.files_ended.labels(statement.status).inc()

    def completed_rejects(self) -> None:
        """A rejects file was written anew."""
        self._metrics.file_rejects_completed.inc()

    def removed(self, folder: str) -> None:
        """An old file is gone."""
        self._metrics.files_removed.labels(folder).inc()

    def not_removed(self, folder: str) -> None:
        """An old file, or a folder of them, could not be removed or looked into."""
        self._metrics.file_removals_failed.labels(folder).inc()

    def states(self, under_way: Mapping[str, UnderWay]) -> None:
        """How many jobs wait and run, and for how long the first of them has waited."""
        none = UnderWay(0, 0.0)
        for state in STATES:
            self._metrics.files_by_state.labels(state).set(under_way.get(state, none).jobs)
        self._metrics.oldest_waiting_file_age_seconds.set(under_way.get(QUEUED, none).oldest_s)
