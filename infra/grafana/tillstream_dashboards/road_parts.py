"""Rows of "the road": what is wrong now, and the processes themselves. A scrape job is named after its process."""

from tillstream_dashboards.kinds import lines, promql, promql_now, stat, table
from tillstream_dashboards.model import GREEN, RED, YELLOW, Row, of_field, texts

_UP = texts({"0": ("down", RED), "1": ("up", GREEN)})
_READY = texts({"0": ("not ready", RED), "1": ("ready", GREEN)})
_HIDDEN = ("Time", "Value", "__name__")
_ONE_IS_GOOD = {"base": RED, "steps": ((1, GREEN),)}


# The first look at three in the morning.
ALARMS = Row(
    "Is anything wrong?",
    (
        table(
            "Alerts",
            "short",
            "What Prometheus' rules complain about: pending ones have not lasted long enough yet. Each alert has a page among the "
            "runbooks, in docs/runbooks.",
            promql_now('ALERTS{alertstate=~"pending|firing"}', as_table=True),
            no_data="nothing is wrong",
            size=(12, 8),
            transformations=({"id": "organize", "options": {"excludeByName": dict.fromkeys(_HIDDEN, True)}},),
            overrides=(
                of_field("alertstate", displayName="state"),
                of_field("alertname", displayName="alert"),
            ),
        ),
        stat(
            "Processes",
            "short",
            "Whether Prometheus reaches each process. Down is wrong unless somebody stopped it.",
            promql_now("min by (job) (up)", "{{job}}"),
            no_data="Prometheus has no targets",
            size=(6, 8),
            text="value_and_name",
            mappings=_UP,
            **_ONE_IS_GOOD,
        ),
        stat(
            "Readiness",
            "short",
            "Whether each process found all that it depends on at its last look. Not ready for more than a minute: see what it waits for.",
            promql_now("min by (job) (tillstream_ready)", "{{job}}"),
            no_data="nobody reports",
            size=(6, 8),
            text="value_and_name",
            mappings=_READY,
            **_ONE_IS_GOOD,
        ),
        lines(
            "Waiting for",
            "short",
            "1 while a process waits for PostgreSQL, Kafka or its folders. It waits without limit and goes on by itself.",
            promql("max by (job, dependency) (tillstream_waiting_for_dependency)", "{{job}}: {{dependency}}"),
            no_data="nobody reports",
            size=(12, 7),
            decimals=0,
        ),
        lines(
            "Since the last success",
            "s",
            "Time since each activity last succeeded. Scans, sweeps and queries go on always; publishing, batches and chunks stop when "
            "nothing comes. Worry when there is lag or traffic and the line still climbs.",
            promql(
                "time() - max by (activity) (tillstream_last_success_timestamp_seconds > 0)",
                "{{activity}}",
            ),
            no_data="nobody reports",
            size=(12, 7),
        ),
    ),
)


# Memory, processor time, restarts, connections, disk.
PROCESSES = Row(
    "Processes: $process",
    (
        lines(
            "Memory",
            "bytes",
            "Resident memory of each process. It is flat under load; worry when it climbs for hours.",
            promql(
                'max by (job, instance) (process_resident_memory_bytes{job=~"$process"})',
                "{{job}} {{instance}}",
            ),
            no_data="nobody reports",
        ),
        lines(
            "Processor time",
            "percentunit",
            "Seconds of processor time in a second: 100 % is one core. A worker that stays at 100 % is at its limit.",
            promql(
                'sum by (job, instance) (rate(process_cpu_seconds_total{job=~"$process"}[$__rate_interval]))',
                "{{job}} {{instance}}",
            ),
            no_data="nobody reports",
            steps=((0.95, YELLOW),),
        ),
        lines(
            "Restarts",
            "short",
            "How often each process began anew within an hour. Worry when one goes on restarting: its log says why it ends.",
            promql('changes(process_start_time_seconds{job=~"$process"}[1h])', "{{job}} {{instance}}"),
            no_data="nobody reports",
            decimals=0,
            steps=((3, RED),),
        ),
        lines(
            "Open files and sockets",
            "short",
            "By process. Worry when it climbs without end.",
            promql('max by (job, instance) (process_open_fds{job=~"$process"})', "{{job}} {{instance}}"),
            no_data="nobody reports",
        ),
        lines(
            "Connections of query-api",
            "short",
            "Connections to PostgreSQL that are open and in use, and requests that wait for one. Waiting ones are answered with 503 when "
            "it takes too long.",
            promql("sum(tillstream_database_connections)", "open"),
            promql("sum(tillstream_database_connections_in_use)", "in use"),
            promql("sum(tillstream_database_waiting_requests)", "waiting"),
            no_data="nobody reports",
            overrides=(of_field("waiting", color={"mode": "fixed", "fixedColor": RED}),),
        ),
        lines(
            "Free on the data disk",
            "percentunit",
            "Share of the data folder's file system that is free. Below 10 % uploads are refused soon.",
            promql("min(tillstream_data_free_bytes / tillstream_data_size_bytes)", "free"),
            no_data="nobody reports",
            most=1,
            base=RED,
            steps=((0.1, YELLOW), (0.2, GREEN)),
            runbook="csv-files.md",
        ),
    ),
)
