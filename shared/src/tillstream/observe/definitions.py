"""The closed list of metrics: name, kind, meaning and labels of each, and what bounds every label.

Nothing else is exposed but the process's own figures (`process_*`: memory, CPU, file descriptors). The page
`docs/metrics.md` is made from this list.
"""

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "tillstream_"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Process(StrEnum):
    """The processes that serve metrics."""

    INGEST_API = "ingest-api"
    QUERY_API = "query-api"
    ETL_WORKER = "etl-worker"
    FILE_WATCHER = "file-watcher"
    FILE_LOADER = "file-loader"


class Label(StrEnum):
    """A label's values come from a closed set, so that the number of series is known beforehand."""

    ROUTE = "route"
    STATUS = "status"
    ENTITY = "entity"
    OUTCOME = "outcome"
    REASON = "reason"
    TOPIC = "topic"
    PARTITION = "partition"
    DEPENDENCY = "dependency"
    PARENT = "parent"
    STATE = "state"
    KIND = "kind"
    COLUMN = "column"
    FOLDER = "folder"
    CAUSE = "cause"
    ACTIVITY = "activity"
    OBSTACLE = "obstacle"
    CONSUMERGROUP = "consumergroup"


BOUNDS: dict[Label, str] = {
    Label.ROUTE: "the path templates of the service's own routes, and `other` for every other path",
    Label.STATUS: "the HTTP status codes that the service answers with",
    Label.ENTITY: "`user`, `product`, `order`, `order_item`, `event`",
    Label.OUTCOME: "`stored`, `unchanged`, `superseded`, `duplicate`, `parked`, `quarantined`",
    Label.REASON: "the reason codes of `tillstream.contracts.reasons`",
    Label.TOPIC: "the topics of `tillstream.contracts.topics`",
    Label.PARTITION: "the partitions of a topic, 12 at most",
    Label.DEPENDENCY: "`postgres`, `kafka`, `folders`",
    Label.PARENT: "`user`, `product`, `order`",
    Label.STATE: "`queued`, `running`, and of jobs that are over `loaded`, `loaded_with_rejects`, `duplicate`, `archived`, `failed`",
    Label.KIND: "the five kinds of CSV file, `text` and `unknown`",
    Label.COLUMN: "the columns of a statement: `loaded`, `unchanged`, `superseded`, `duplicate`, `parked`, `rejected`",
    Label.FOLDER: "`input`, `work`, `processed`, `error`, `invalid`, `output`",
    Label.CAUSE: "the leaves of `tillstream.errors`",
    Label.ACTIVITY: "`publish`, `batch`, `sweep`, `scan`, `file_chunk`, `query`",
    Label.OBSTACLE: "`changing`, `unfinished`, `no_marker`, `no_file`, `not_taken`, `defaults`, `folder`, `too_many`",
    Label.CONSUMERGROUP: "`etl-worker`, `file-loader`",
}

ACTIVITIES = ("publish", "batch", "sweep", "scan", "file_chunk", "query")

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
EVENT_TO_TABLE_SECONDS = (0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3_600.0)
BATCH_RECORDS = (1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0)
FILE_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0)

_ALL = tuple(Process)
_APIS = (Process.INGEST_API, Process.QUERY_API)
_WORKER = (Process.ETL_WORKER,)
_LOADER = (Process.FILE_LOADER,)
_WRITERS = (Process.ETL_WORKER, Process.FILE_LOADER)
_PRODUCERS = (Process.INGEST_API,)
_CONSUMERS = (Process.ETL_WORKER, Process.FILE_LOADER)
_WATCHER = (Process.FILE_WATCHER,)
_POOLS = (Process.QUERY_API,)
_FILE_QUEUES = (Process.FILE_WATCHER, Process.FILE_LOADER)


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. A counter's exposed name ends in `_total`; `field` is the attribute of `Metrics`. `prefix` is ours but for a
    figure that everybody's tools know by a name of its own."""

    field: str
    kind: Kind
    meaning: str
    processes: tuple[Process, ...]
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    prefix: str = PREFIX

    @property
    def name(self) -> str:
        """The name as Prometheus shows it."""
        return self.prefix + self.field + ("_total" if self.kind is Kind.COUNTER else "")


def _counter(field: str, meaning: str, processes: tuple[Process, ...], *labels: Label) -> Definition:
    return Definition(field, Kind.COUNTER, meaning, processes, labels)


def _gauge(field: str, meaning: str, processes: tuple[Process, ...], *labels: Label) -> Definition:
    return Definition(field, Kind.GAUGE, meaning, processes, labels)


def _histogram(
    field: str, meaning: str, processes: tuple[Process, ...], buckets: tuple[float, ...], *labels: Label
) -> Definition:
    return Definition(field, Kind.HISTOGRAM, meaning, processes, labels, buckets)


_EVERY_PROCESS = (
    _gauge("ready", "1 when the last readiness check found every dependency answering, else 0.", _ALL),
    _gauge(
        "waiting_for_dependency",
        "1 while the process waits for this dependency, else 0.",
        _ALL,
        Label.DEPENDENCY,
    ),
    _gauge(
        "last_success_timestamp_seconds",
        "Unix time of the last success; of a sweep, of the last one that no other session kept from its work; of a scan, also while one moves on, unless the one before failed.",
        _ALL,
        Label.ACTIVITY,
    ),
)
_HTTP = (
    _counter("http_requests", "Requests answered.", _APIS, Label.ROUTE, Label.STATUS),
    _histogram(
        "http_request_seconds", "First byte in to last byte out.", _APIS, REQUEST_SECONDS, Label.ROUTE
    ),
    _gauge("http_requests_in_flight", "Requests that are being answered now.", _APIS),
)
_INGEST = (
    _counter("ingest_accepted_records", "Records that the broker acknowledged.", _APIS[:1], Label.ENTITY),
    _counter(
        "ingest_rejected_records", "Records refused by their contract.", _APIS[:1], Label.ENTITY, Label.REASON
    ),
    _counter(
        "ingest_unacknowledged_records",
        "Good records that were answered with 503; some may be stored all the same.",
        _APIS[:1],
        Label.ENTITY,
    ),
    _gauge("ingest_bytes_in_hand", "Bytes of bodies, each from its arrival to its answer.", _APIS[:1]),
    _gauge(
        "ingest_drained_bytes_per_second",
        "How fast the broker takes what is in hand; `Retry-After` is made from it.",
        _APIS[:1],
    ),
    _counter(
        "ingest_throttled_requests",
        "Requests answered with 429: under pressure, of a client that takes more than its part of the room.",
        _APIS[:1],
    ),
    _counter(
        "ingest_key_conflicts",
        "Requests refused because their Idempotency-Key came with another body before.",
        _APIS[:1],
    ),
    _gauge("ingest_uploads_in_flight", "Files that are being taken in now.", _APIS[:1]),
    _counter("ingest_uploaded_files", "Files taken in by upload, repetitions not included.", _APIS[:1]),
    _counter("ingest_uploaded_bytes", "Their bytes.", _APIS[:1]),
    _gauge("ingest_dry_runs_in_flight", "Files that are being examined now, and not loaded.", _APIS[:1]),
    _counter("ingest_dry_runs", "Files that were examined, and not loaded.", _APIS[:1]),
)
_PRODUCER = (
    _gauge("producer_buffered_records", "Records waiting for the broker's acknowledgement.", _PRODUCERS),
    _gauge("producer_buffered_bytes", "Bytes waiting for the broker's acknowledgement.", _PRODUCERS),
    _histogram(
        "producer_publish_seconds", "From publish to the last acknowledgement.", _PRODUCERS, REQUEST_SECONDS
    ),
    _counter(
        "producer_failed_records", "Records without an acknowledgement in time.", _PRODUCERS, Label.TOPIC
    ),
)
_APPLY = (
    _counter(
        "applied_records", "Messages settled, by what became of them.", _WRITERS, Label.ENTITY, Label.OUTCOME
    ),
    _counter("quarantined_records", "Messages put into quarantine.", _WRITERS, Label.ENTITY, Label.REASON),
    _histogram("apply_batch_records", "Messages in one transaction.", _WRITERS, BATCH_RECORDS),
    _histogram("apply_batch_seconds", "Begin to commit of one transaction.", _WRITERS, BATCH_SECONDS),
    _counter("apply_retries", "Transactions run again or waited for.", _WRITERS, Label.CAUSE),
    _histogram(
        "event_to_table_seconds",
        "Acceptance to commit, once per request and entity in a batch.",
        _WORKER,
        EVENT_TO_TABLE_SECONDS,
        Label.ENTITY,
    ),
    _gauge(
        "parked_rows",
        "Messages that wait for a parent; NaN where nobody counted for a minute.",
        _WORKER,
        Label.PARENT,
    ),
    _gauge(
        "parked_oldest_age_seconds",
        "Age of the message that waits longest; 0 when none waits, NaN as above.",
        _WORKER,
    ),
    _gauge(
        "quarantine_open_entries",
        "Refused messages that nobody has mended or dismissed, counted every 10 s; NaN where nobody counted for a minute.",
        _WORKER,
    ),
)
_CONSUMER = (
    Definition(
        "kafka_consumergroup_lag",
        Kind.GAUGE,
        "Records in the log that are not applied.",
        _CONSUMERS,
        (Label.CONSUMERGROUP, Label.TOPIC, Label.PARTITION),
        prefix="",
    ),
    _gauge(
        "consumer_lag_seconds",
        "At most so old is the oldest record that is not applied; 0 when there is none. What was not measured for 10 s counts "
        "as behind since all was applied last.",
        _CONSUMERS,
        Label.TOPIC,
        Label.PARTITION,
    ),
    _gauge(
        "partition_stopped",
        "1 while a partition is marked as stopped, else 0.",
        _WORKER,
        Label.TOPIC,
        Label.PARTITION,
    ),
    _counter("partition_takeovers", "Partitions taken over from a former owner.", _CONSUMERS, Label.TOPIC),
    _counter("partition_fenced", "Partitions lost to another owner within a batch.", _CONSUMERS, Label.TOPIC),
)
_FILES = (
    _gauge("folder_files", "Files in a folder at the last scan.", _WATCHER, Label.FOLDER),
    _counter("files_claimed", "Files claimed from the input folder.", _WATCHER),
    _counter("files_refused", "Dropped files that were moved to `error/` unopened.", _WATCHER),
    _gauge(
        "files_stuck",
        "What lies in the input folder and cannot be taken; an alarm was raised for each.",
        _WATCHER,
        Label.OBSTACLE,
    ),
    _gauge(
        "hints_working",
        "1 when inotify told of a file that was written to try it out, 0 while scans alone find the files.",
        _WATCHER,
    ),
    _counter(
        "hints_lost",
        "Complaints of the watching itself, as of an overflow; each is followed by a scan.",
        _WATCHER,
    ),
    _counter("file_jobs_emitted", "File jobs sent to the broker, repetitions included.", _WATCHER),
    _gauge("files_by_state", "File jobs that are not over, by state.", _LOADER, Label.STATE),
    _counter("files_ended", "File jobs that this process ended, by how.", _LOADER, Label.STATE),
    _gauge(
        "oldest_waiting_file_age_seconds",
        "For file-watcher, since when the oldest file of the input folder is there; for file-loader, how long the oldest queued "
        "job waits; 0 where nothing waits.",
        _FILE_QUEUES,
    ),
    _gauge("data_free_bytes", "Room that is left on the file system of the data folder.", _WATCHER),
    _gauge("data_size_bytes", "Size of the file system of the data folder.", _WATCHER),
    _gauge(
        "nightly_export_timestamp_seconds",
        "Unix time at which output/daily_revenue.csv was written, which is the last thing that a green nightly run "
        "does; 0 where none can be seen.",
        _WATCHER,
    ),
    _counter("file_rows", "Rows of files, by column of the statement.", _LOADER, Label.KIND, Label.COLUMN),
    _counter("file_bytes", "Bytes of files read.", _LOADER),
    _counter(
        "file_rejects_completed",
        "Rejects files written anew because parked rows became rejects after the load.",
        _LOADER,
    ),
    _counter("files_removed", "Files removed because their time to be kept was over.", _LOADER, Label.FOLDER),
    _counter(
        "file_removals_failed",
        "Files whose time was over and that could not be removed, and folders not looked into.",
        _LOADER,
        Label.FOLDER,
    ),
    _histogram(
        "file_load_seconds",
        "Work on a file job until its statement, without the time in the queue.",
        _LOADER,
        FILE_SECONDS,
        Label.KIND,
    ),
)
_FRESHNESS = (
    _gauge(
        "data_complete_through_timestamp_seconds",
        "Unix time through which all records of the topic's log are in the tables, as every reader of the database sees it.",
        _POOLS,
        Label.TOPIC,
    ),
)
_DATABASE = (
    _gauge("database_connections_in_use", "Connections that run something now.", _POOLS),
    _gauge("database_connections", "Connections that are open.", _POOLS),
    _gauge("database_waiting_requests", "Requests that wait for a connection.", _POOLS),
)

DEFINITIONS: tuple[Definition, ...] = (
    *_EVERY_PROCESS,
    *_HTTP,
    *_INGEST,
    *_PRODUCER,
    *_APPLY,
    *_CONSUMER,
    *_FILES,
    *_FRESHNESS,
    *_DATABASE,
)
