"""The metrics of one process, on a registry of its own. The list and the meanings stand in `definitions`."""

import math
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from tillstream.clock import Clock
from tillstream.observe.definitions import DEFINITIONS, Definition, Kind, Process

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """One attribute per definition. Made once, in a process's `app.py`, and passed to whoever counts.

    With `process` given, only that process's metrics are exposed; the others exist and count unseen, so that shared
    code needs no questions. Label values go in the order of the definition: `metrics.http_requests.labels(route, status)`.
    """

    def __init__(  # noqa: PLR0915 - a statement a metric
        self, registry: CollectorRegistry, process: Process | None = None
    ) -> None:
        self.registry = registry
        # A switch of the library's for the whole process: without it every counter has a second series, its birthday.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        ProcessCollector(registry=registry)
        made = {each.field: _make(each, registry, process) for each in DEFINITIONS}
        counter, gauge, histogram = _pickers(made)
        self.ready = gauge("ready")
        self.waiting_for_dependency = gauge("waiting_for_dependency")
        self.last_success_timestamp_seconds = gauge("last_success_timestamp_seconds")
        self.http_requests = counter("http_requests")
        self.http_request_seconds = histogram("http_request_seconds")
        self.http_requests_in_flight = gauge("http_requests_in_flight")
        self.ingest_accepted_records = counter("ingest_accepted_records")
        self.ingest_rejected_records = counter("ingest_rejected_records")
        self.ingest_unacknowledged_records = counter("ingest_unacknowledged_records")
        self.ingest_bytes_in_hand = gauge("ingest_bytes_in_hand")
        self.ingest_drained_bytes_per_second = gauge("ingest_drained_bytes_per_second")
        self.ingest_throttled_requests = counter("ingest_throttled_requests")
        self.ingest_key_conflicts = counter("ingest_key_conflicts")
        self.ingest_uploads_in_flight = gauge("ingest_uploads_in_flight")
        self.ingest_uploaded_files = counter("ingest_uploaded_files")
        self.ingest_uploaded_bytes = counter("ingest_uploaded_bytes")
        self.ingest_dry_runs_in_flight = gauge("ingest_dry_runs_in_flight")
        self.ingest_dry_runs = counter("ingest_dry_runs")
        self.producer_buffered_records = gauge("producer_buffered_records")
        self.producer_buffered_bytes = gauge("producer_buffered_bytes")
        self.producer_publish_seconds = histogram("producer_publish_seconds")
        self.producer_failed_records = counter("producer_failed_records")
        self.applied_records = counter("applied_records")
        self.quarantined_records = counter("quarantined_records")
        self.apply_batch_records = histogram("apply_batch_records")
        self.apply_batch_seconds = histogram("apply_batch_seconds")
        self.apply_retries = counter("apply_retries")
        self.event_to_table_seconds = histogram("event_to_table_seconds")
        self.parked_rows = gauge("parked_rows")
        self.parked_oldest_age_seconds = gauge("parked_oldest_age_seconds")
        self.quarantine_open_entries = gauge("quarantine_open_entries")
        self.kafka_consumergroup_lag = gauge("kafka_consumergroup_lag")
        self.consumer_lag_seconds = gauge("consumer_lag_seconds")
        self.partition_stopped = gauge("partition_stopped")
        self.partition_takeovers = counter("partition_takeovers")
        self.partition_fenced = counter("partition_fenced")
        self.folder_files = gauge("folder_files")
        self.files_claimed = counter("files_claimed")
        self.files_refused = counter("files_refused")
        self.files_stuck = gauge("files_stuck")
        self.hints_working = gauge("hints_working")
        self.hints_lost = counter("hints_lost")
        self.file_jobs_emitted = counter("file_jobs_emitted")
        self.files_by_state = gauge("files_by_state")
        self.files_ended = counter("files_ended")
        self.oldest_waiting_file_age_seconds = gauge("oldest_waiting_file_age_seconds")
        self.data_free_bytes = gauge("data_free_bytes")
        self.data_size_bytes = gauge("data_size_bytes")
        self.nightly_export_timestamp_seconds = gauge("nightly_export_timestamp_seconds")
        self.data_complete_through_timestamp_seconds = gauge("data_complete_through_timestamp_seconds")
        self.file_rows = counter("file_rows")
        self.file_bytes = counter("file_bytes")
        self.file_rejects_completed = counter("file_rejects_completed")
        self.files_removed = counter("files_removed")
        self.file_removals_failed = counter("file_removals_failed")
        self.file_load_seconds = histogram("file_load_seconds")
        self.database_connections_in_use = gauge("database_connections_in_use")
        self.database_connections = gauge("database_connections")
        self.database_waiting_requests = gauge("database_waiting_requests")
        assert not made, f"defined but without an attribute: {sorted(made)}"

    def succeeded(self, activity: str, clock: Clock) -> None:
        """Set the time of the last success of an activity; `activity` is one of `definitions.ACTIVITIES`."""
        self.last_success_timestamp_seconds.labels(activity).set(clock.now().timestamp())

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format, of content type CONTENT_TYPE."""
        return generate_latest(self.registry)


class Fading:
    """A gauge of something that is measured again and again, until it is not: a value counts for `for_s` seconds, and then
    nothing is known (NaN), as before the first one. It is for one gauge without labels, or one of its children."""

    def __init__(self, gauge: Gauge, clock: Clock, for_s: float) -> None:
        self._clock = clock
        self._for_s = for_s
        self._value = math.nan
        self._until = 0.0
        gauge.set_function(self._now)

    def set(self, value: float) -> None:
        """Measured now."""
        self._value = value
        self._until = self._clock.monotonic() + self._for_s

    def _now(self) -> float:
        return self._value if self._clock.monotonic() <= self._until else math.nan


type _Any = Counter | Gauge | Histogram


def _make(definition: Definition, registry: CollectorRegistry, process: Process | None) -> _Any:
    exposed = registry if process is None or process in definition.processes else None
    name = definition.prefix + definition.field
    match definition.kind:
        case Kind.COUNTER:
            return Counter(name, definition.meaning, definition.labels, registry=exposed)
        case Kind.GAUGE:
            return Gauge(name, definition.meaning, definition.labels, registry=exposed)
        case Kind.HISTOGRAM:
            return Histogram(
                name, definition.meaning, definition.labels, registry=exposed, buckets=definition.buckets
            )


def _pickers(
    made: dict[str, _Any],
) -> tuple[Callable[[str], Counter], Callable[[str], Gauge], Callable[[str], Histogram]]:
    """Take a metric out of `made` by name, as the kind that the caller counts on."""

    def pick[Kinds: (Counter, Gauge, Histogram)](kind: type[Kinds], field: str) -> Kinds:
        metric = made.pop(field)
        assert isinstance(metric, kind), field
        return metric

    return (
        lambda field: pick(Counter, field),
        lambda field: pick(Gauge, field),
        lambda field: pick(Histogram, field),
    )
