"""Rows of "the road": from the log into the tables, what is refused, and files."""

from tillstream_dashboards.kinds import lines, promql, promql_now, quantiles, stat
from tillstream_dashboards.model import RED, YELLOW, Row, texts

NOTHING_APPLIED = "nothing was applied"
NO_FILES = "no file"


# How records become rows.
WORKER = Row(
    "Worker: from the log into the tables",
    (
        stat(
            "Event to table",
            "s",
            "From acceptance to commit: one event in a hundred took longer, over five minutes. The promise is a quarter of a second; "
            "above 1 s the worker does not keep up.",
            promql_now("max(tillstream:event_to_table_seconds:p99_5m)", "p99"),
            no_data="no event came",
            decimals=3,
            steps=((0.5, YELLOW), (5, RED)),
            runbook="partitions.md",
        ),
        stat(
            "Stopped partitions",
            "short",
            "Partitions that the worker stopped, because too much of what came was refused. Each stays so until a command resumes it.",
            promql_now("sum(max by (topic, partition) (tillstream_partition_stopped))", "stopped"),
            no_data="nobody reports",
            decimals=0,
            steps=((1, RED),),
            runbook="partitions.md",
        ),
        lines(
            "Event to table by kind",
            "s",
            "From acceptance to commit. Rises with the lag; without lag, PostgreSQL is slow.",
            *quantiles("tillstream_event_to_table_seconds", "entity", "{{entity}}"),
            no_data=NOTHING_APPLIED,
            steps=((0.5, YELLOW), (5, RED)),
        ),
        lines(
            "What became of records",
            "recps",
            "Each record has one outcome. Duplicates and superseded ones cost nothing and are normal when clients or files repeat "
            "themselves; parked ones wait for what they refer to; quarantined ones wait for a person.",
            promql(
                "sum by (outcome) (rate(tillstream_applied_records_total[$__rate_interval]))",
                "{{outcome}}",
            ),
            no_data=NOTHING_APPLIED,
            stacked=True,
        ),
        lines(
            "Time of a transaction",
            "s",
            "Begin to commit of a batch, by process. Above 5 s something holds locks, or the disk is slow.",
            *quantiles("tillstream_apply_batch_seconds", "job", "{{job}}"),
            no_data=NOTHING_APPLIED,
            steps=((5, YELLOW), (30, RED)),
        ),
        lines(
            "Records in a transaction",
            "short",
            "Small batches mean that the worker waits for records, large ones that it catches up.",
            *quantiles("tillstream_apply_batch_records", "job", "{{job}}"),
            no_data=NOTHING_APPLIED,
        ),
        lines(
            "Transactions run again",
            "ops",
            "By cause. A conflict now and then is normal; an outage is waited for and shows as long as it lasts.",
            promql("sum by (cause) (rate(tillstream_apply_retries_total[$__rate_interval]))", "{{cause}}"),
            no_data="none",
        ),
    ),
)


# What waits for a parent or for a person. Each worker counts the whole table, so that the greatest is taken, not the sum.
REFUSED = Row(
    "Refused and waiting",
    (
        stat(
            "Open quarantine",
            "short",
            "Accepted records that were refused later and that nobody has settled. Nothing is lost, but nothing is counted either.",
            promql_now("max(tillstream_quarantine_open_entries)", "open"),
            no_data="nobody reports",
            decimals=0,
            steps=((1, YELLOW), (1_000, RED)),
            runbook="quarantine.md",
        ),
        stat(
            "Oldest parked",
            "s",
            "How long the oldest parked record waits for its parent. Past the time limit it moves to quarantine.",
            promql_now("max(tillstream_parked_oldest_age_seconds)", "oldest"),
            no_data="nobody reports",
            decimals=0,
            steps=((3_600, YELLOW), (86_400, RED)),
            runbook="quarantine.md",
        ),
        lines(
            "Quarantined by reason",
            "recps",
            "What went into quarantine, by reason. Worry when a reason is new or its rate lasts: a client or partner has changed something.",
            promql(
                "sum by (reason) (rate(tillstream_quarantined_records_total[$__rate_interval]))",
                "{{reason}}",
            ),
            no_data="nothing was quarantined",
            stacked=True,
            runbook="quarantine.md",
        ),
        lines(
            "Parked by parent",
            "short",
            "Records that wait for a user, product or order that has not come yet. It falls when the parents come; worry when it does not.",
            promql("max by (parent) (tillstream_parked_rows)", "{{parent}}"),
            no_data="nothing is parked",
            stacked=True,
            runbook="quarantine.md",
        ),
    ),
)


# Dropped and uploaded files, from the folder to the statement.
_WORKING = texts({"0": ("scans only", YELLOW), "1": ("working", "green")})
FILES = Row(
    "Files: file-watcher and file-loader",
    (
        stat(
            "Oldest waiting file",
            "s",
            "How long the oldest file that is not begun has been waiting. It grows while a large file is loaded; worry above an hour.",
            promql_now("max(tillstream_oldest_waiting_file_age_seconds)", "oldest"),
            no_data="nobody reports",
            decimals=0,
            steps=((600, YELLOW), (3_600, RED)),
            runbook="csv-files.md",
        ),
        stat(
            "Watching",
            "short",
            "Whether the system tells of dropped files at once. Where it does not, scans find them all the same, only later.",
            promql_now("min(tillstream_hints_working)", "hints"),
            no_data="nobody reports",
            mappings=_WORKING,
            steps=((1, "green"),),
            base=YELLOW,
            runbook="csv-files.md",
        ),
        lines(
            "Files by state",
            "short",
            "File jobs that are not over. Queued ones that only grow: the loader is slower than the partners, or it is down.",
            promql("max by (state) (tillstream_files_by_state)", "{{state}}"),
            no_data=NO_FILES,
            stacked=True,
            runbook="csv-files.md",
        ),
        lines(
            "Rows of files",
            "rowsps",
            "By column of the statement. Rejected rows wait in `invalid/` for a correction.",
            promql("sum by (column) (rate(tillstream_file_rows_total[$__rate_interval]))", "{{column}}"),
            no_data=NO_FILES,
            stacked=True,
            runbook="csv-files.md",
        ),
        lines(
            "Bytes of files",
            "Bps",
            "Read by the loader, and taken in by upload.",
            promql("sum(rate(tillstream_file_bytes_total[$__rate_interval]))", "loaded"),
            promql("sum(rate(tillstream_ingest_uploaded_bytes_total[$__rate_interval]))", "uploaded"),
            no_data=NO_FILES,
        ),
        lines(
            "Work on a file",
            "s",
            "From its first chunk to its statement, by kind of file, without the time in the queue.",
            *quantiles("tillstream_file_load_seconds", "kind", "{{kind}}"),
            no_data=NO_FILES,
        ),
        lines(
            "Files in the folders",
            "short",
            "At the last scan. Files that stay in `input/` cannot be taken; `error/` and `invalid/` wait for a person.",
            promql("sum by (folder) (tillstream_folder_files)", "{{folder}}"),
            no_data="nobody reports",
            runbook="csv-files.md",
        ),
        lines(
            "Claimed, refused, stuck",
            "short",
            "Files claimed and files moved to `error/` unopened, in five minutes each; and what lies in `input/` now and cannot be taken, "
            "by obstacle. Anything stuck wants a look.",
            promql("sum(increase(tillstream_files_claimed_total[5m]))", "claimed"),
            promql("sum(increase(tillstream_files_refused_total[5m]))", "refused"),
            promql("sum by (obstacle) (tillstream_files_stuck)", "stuck: {{obstacle}}"),
            no_data="nobody reports",
            runbook="csv-files.md",
        ),
    ),
)
