"""The worker beside Kafka Connect with the Debezium JDBC sink in upsert mode, on the same records and the same server.

Both find the same backlog. The sink checks no parents, keeps no receipts and has an index less to fill; it commits its offsets to
Kafka. Its first fifth is not counted: a virtual machine that warms up is not what is compared.
"""

import time
from collections.abc import Mapping, Sequence

import psycopg

from backlog import PARENTS
from draining import WITHIN_S, drain, pile_up
from machine import calibration_s
from memory import watching
from own_stack import bootstrap, cache, make_peer_database, own_stack, peer_dsn, scalar, superuser
from peers.debezium import sink
from results import Bar, Figure, Memory, Row, ratios
from settings import EVENTS, RUNS
from telling import told
from tillstream.contracts.entities import EVENTS_TOPIC
from tillstream_native.places import ETL_WORKER
from tillstream_native.processes import tail
from tillstream_native.stack import Stack
from tillstream_native.system import CannotRun

REST_PORT = 8083
POLL_S = 1.0
BATCHES = {"batch.size": "5000", "consumer.override.max.poll.records": "5000"}
UNNEST = {"dialect.postgres.unnest.insert.enabled": "true"}
KINDS: Mapping[str, dict[str, str]] = {"sink": BATCHES, "sink with UNNEST": BATCHES | UNNEST}
# The moment of each row's insert, by which the rate is known without asking meanwhile.
STAMPED = "ALTER TABLE events ADD COLUMN stored_at timestamptz NOT NULL DEFAULT clock_timestamp()"
RATE = """
WITH begun AS (SELECT percentile_disc(0.2) WITHIN GROUP (ORDER BY stored_at) AS at FROM events)
SELECT count(*) / extract(epoch FROM max(stored_at) - min(at))::float8 FROM events, begun WHERE stored_at > at
"""


def measure() -> list[Row]:
    """One row: the worker, and the sink as it comes and with its quickest statement."""
    found: dict[str, list[float]] = {name: [] for name in ("worker", *KINDS, "additions")}
    with own_stack() as stack, superuser(stack) as connection, watching(stack) as watch:
        connection.execute(PARENTS)
        with make_peer_database(stack) as peer:
            peer.execute(STAMPED)
            for number in range(RUNS):
                pile_up(stack, EVENTS, "uuid7")
                connection.execute("TRUNCATE shop.events")
                found["additions"].append(calibration_s())
                found["worker"].append(drain(stack, connection, EVENTS))
                stack.supervisor.stop((ETL_WORKER,), WITHIN_S)
                for kind, options in KINDS.items():
                    found[kind].append(_drained_by(stack, peer, kind, options, number))
                told("sink", **{name.replace(" ", "_"): values[-1] for name, values in found.items()})
    return [_row(found, watch.found())]


def _row(found: Mapping[str, list[float]], memory: Sequence[Memory]) -> Row:
    beside = (
        Figure(f"worker beside {kind}", "×", ratios(found["worker"], found[kind]), Bar.AT_LEAST, 3)
        for kind in KINDS
    )
    figures = (
        Figure("worker", "events/s", found["worker"]),
        *(Figure(kind, "rows/s", found[kind]) for kind in KINDS),
        *beside,
        Figure("3M additions", "s", found["additions"]),
    )
    settings = f"a backlog of {EVENTS:,} events, {RUNS} runs; upsert mode, batches of 5,000"
    work = "worker on a backlog, beside Kafka Connect with the Debezium JDBC sink"
    return Row("sink", work, settings, figures, memory)


def _drained_by(
    stack: Stack, peer: psycopg.Connection, kind: str, options: dict[str, str], run: int
) -> float:
    """Rows per second of the sink; its consumer group goes on where the last run ended."""
    name = kind.replace(" ", "-").lower()
    peer.execute("TRUNCATE events")
    peer.execute("CHECKPOINT")
    process = sink(
        stack.places.state / f"{name}-{run}",
        cache(),
        name=name,
        topic=EVENTS_TOPIC,
        bootstrap=bootstrap(stack),
        dsn=peer_dsn(stack),
        port=REST_PORT + stack.ports.offset,
        options=options,
    )
    try:
        process.start()
        deadline = time.monotonic() + WITHIN_S
        while (stored := scalar(peer, "SELECT count(*) FROM events")) < EVENTS:
            if not process.running or time.monotonic() > deadline:
                raise CannotRun(f"the sink stored {stored} of {EVENTS}:\n{tail(process.log)}")
            time.sleep(POLL_S)
        assert stored == EVENTS, "more rows than events"
    finally:
        process.stop()
    return _rate(peer)


def _rate(peer: psycopg.Connection) -> float:
    row = peer.execute(RATE).fetchone()
    assert row is not None
    return float(row[0])
