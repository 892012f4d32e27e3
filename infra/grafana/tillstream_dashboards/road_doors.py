"""Rows of "the road": the HTTP doors, and Kafka behind them."""

from tillstream_dashboards.kinds import lines, promql, promql_now, quantiles, stat
from tillstream_dashboards.model import RED, YELLOW, Row

NO_TRAFFIC = "no traffic"
NO_BROKER_FIGURES = "nobody reports"


# What clients send and ask, and what they are answered.
DOORS = Row(
    "Doors: ingest-api and query-api",
    (
        stat(
            "Accepted now",
            "recps",
            "Records per second that the broker acknowledged over the last minute. Worry when it is 0 while clients post.",
            promql_now("sum(tillstream:ingest_accepted:rate1m)", "accepted"),
            no_data=NO_TRAFFIC,
            decimals=1,
        ),
        stat(
            "Share of errors",
            "percentunit",
            "Answers with a status of 500 or more, as a share of all, over five minutes; the worst route. Above 1 % clients notice.",
            promql_now("max(tillstream:http_error_share:rate5m)", "errors"),
            no_data=NO_TRAFFIC,
            decimals=2,
            steps=((0.01, YELLOW), (0.05, RED)),
        ),
        lines(
            "Accepted by kind of record",
            "recps",
            "Records that the broker acknowledged, so that they will reach the tables whatever happens. A line that falls to 0 means "
            "that a client stopped, or that Kafka does not take anything.",
            promql(
                "sum by (entity) (rate(tillstream_ingest_accepted_records_total[$__rate_interval]))",
                "{{entity}}",
            ),
            no_data=NO_TRAFFIC,
            stacked=True,
        ),
        lines(
            "Refused at the door",
            "recps",
            "Records that broke a contract and were answered so, by reason; and good ones that were answered with 503, because the broker "
            "was silent. The client knows of each. Worry when the reason is new, or when 503 is not 0.",
            promql(
                "sum by (reason) (rate(tillstream_ingest_rejected_records_total[$__rate_interval]))",
                "{{reason}}",
            ),
            promql(
                "sum(rate(tillstream_ingest_unacknowledged_records_total[$__rate_interval]))",
                "503: not acknowledged",
            ),
            no_data="nothing was refused",
            runbook="quarantine.md",
        ),
        lines(
            "Requests by route and status",
            "reqps",
            "Answers of both services. A status of 500 or more is ours to mend, 4xx is the client's, 429 and 503 ask for less.",
            promql(
                "sum by (route, status) (rate(tillstream_http_requests_total[$__rate_interval]))",
                "{{route}} {{status}}",
            ),
            no_data=NO_TRAFFIC,
            stacked=True,
        ),
        lines(
            "Latency by route",
            "s",
            "First byte in to last byte out: half of the requests are faster than p50, one in a hundred is slower than p99. Above 1 s at "
            "p99, posting waits for the broker and asking for PostgreSQL.",
            *quantiles("tillstream_http_request_seconds", "route", "{{route}}"),
            no_data=NO_TRAFFIC,
            steps=((1, YELLOW), (5, RED)),
        ),
        lines(
            "Requests in hand",
            "short",
            "Requests that are being answered, uploads that are being taken in, and files that are examined without being loaded. Worry "
            "when it climbs and does not fall.",
            promql("sum by (job) (tillstream_http_requests_in_flight)", "{{job}}"),
            promql("sum(tillstream_ingest_uploads_in_flight)", "uploads"),
            promql("sum(tillstream_ingest_dry_runs_in_flight)", "dry runs"),
            no_data=NO_TRAFFIC,
        ),
        lines(
            "Pressure on ingest-api",
            "bytes",
            "Bytes of bodies from their arrival to their answer. Near the limit that the settings give, clients get 429.",
            promql("sum(tillstream_ingest_bytes_in_hand)", "in hand"),
            no_data=NO_TRAFFIC,
        ),
        lines(
            "Turned away",
            "reqps",
            "Requests answered with 429, and requests whose Idempotency-Key had come with another body before. The latter is a "
            "mistake of the client's: it should make a new key for a new body.",
            promql("sum(rate(tillstream_ingest_throttled_requests_total[$__rate_interval]))", "429"),
            promql("sum(rate(tillstream_ingest_key_conflicts_total[$__rate_interval]))", "key conflicts"),
            no_data=NO_TRAFFIC,
        ),
    ),
)


# How the log takes records, and how far its readers are.
BROKER = Row(
    "Kafka: into the log and out of it",
    (
        lines(
            "Producer buffer",
            "short",
            "Records that wait for the broker's acknowledgement. It empties many times a second; worry when it stays high, since "
            "answers wait for it and turn into 503.",
            promql("sum(tillstream_producer_buffered_records)", "records"),
            no_data=NO_BROKER_FIGURES,
        ),
        lines(
            "Producer buffer in bytes",
            "bytes",
            "The same in bytes; beside it how many bytes the broker takes in a second, from which `Retry-After` is made.",
            promql("sum(tillstream_producer_buffered_bytes)", "waiting"),
            promql("sum(tillstream_ingest_drained_bytes_per_second)", "taken in a second"),
            no_data=NO_BROKER_FIGURES,
        ),
        lines(
            "Publishing",
            "s",
            "From publishing to the last acknowledgement of a request. Above 1 s a broker is slow or its leader has just changed.",
            *quantiles("tillstream_producer_publish_seconds", "", ""),
            no_data=NO_TRAFFIC,
            steps=((1, YELLOW), (5, RED)),
        ),
        lines(
            "Not acknowledged in time",
            "recps",
            "Records that the broker did not acknowledge within the deadline: their client was told 503 and repeats them with the same ids. "
            "Anything but 0 means that Kafka is not well.",
            promql(
                "sum by (topic) (rate(tillstream_producer_failed_records_total[$__rate_interval]))",
                "{{topic}}",
            ),
            no_data="none",
        ),
        stat(
            "Lag now",
            "short",
            "Records in the log that are not in the tables. Normal is what a second brings; worry when it only grows.",
            promql_now("sum(tillstream:consumer_lag_records:sum)", "records"),
            no_data=NO_BROKER_FIGURES,
            decimals=0,
            steps=((10_000, YELLOW), (1_000_000, RED)),
            runbook="partitions.md",
        ),
        stat(
            "Lag in time",
            "s",
            "Age of the oldest record that is not in the tables, of the worst partition. Above 60 s what query-api answers is old.",
            promql_now("max(tillstream:consumer_lag_seconds:max)", "seconds"),
            no_data=NO_BROKER_FIGURES,
            decimals=1,
            steps=((10, YELLOW), (60, RED)),
            runbook="partitions.md",
        ),
        lines(
            "Lag by topic",
            "short",
            "Records in the log that are not applied, by consumer group and topic. One topic alone that grows: look for a stopped partition.",
            promql("sum by (consumergroup, topic) (kafka_consumergroup_lag)", "{{topic}}"),
            no_data=NO_BROKER_FIGURES,
            runbook="partitions.md",
        ),
        lines(
            "Lag by topic in time",
            "s",
            "Age of the oldest record that is not applied, of each topic's worst partition.",
            promql("max by (topic) (tillstream_consumer_lag_seconds)", "{{topic}}"),
            no_data=NO_BROKER_FIGURES,
            steps=((10, YELLOW), (60, RED)),
            runbook="partitions.md",
        ),
        lines(
            "Who holds the partitions",
            "short",
            "Partitions taken over from another worker, and partitions lost to one in the midst of a batch, in five minutes each. Some "
            "at a restart are normal; worry when it goes on.",
            promql(
                "sum by (topic) (increase(tillstream_partition_takeovers_total[5m]))",
                "taken over {{topic}}",
            ),
            promql("sum by (topic) (increase(tillstream_partition_fenced_total[5m]))", "lost {{topic}}"),
            no_data=NO_BROKER_FIGURES,
            size=(8, 8),
            runbook="partitions.md",
        ),
    ),
)
