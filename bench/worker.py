"""The worker on a backlog of events, beside a raw COPY of the same rows into the same table.

    EVENTS=1000000 RUNS=5 make bench-worker

The worker fetches, reads, checks parents and ids, writes receipts and moves its offsets; the COPY does nothing but write.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import psutil
import psycopg

from backlog import MAKERS, PARENTS, fill, moved_to
from machine import calibration_s, description
from own_stack import own_stack, superuser
from tillstream_native.places import ETL_WORKER
from tillstream_native.stack import Stack

EVENTS = int(os.environ.get("EVENTS") or 1_000_000)
RUNS = int(os.environ.get("RUNS") or 5)
IDS = os.environ.get("IDS") or "uuid7"
WITHIN_S = 600
POLL_S = 0.02
PEER = """
DROP TABLE IF EXISTS public.peer;
CREATE TABLE public.peer (LIKE shop.events INCLUDING ALL);
"""
OUT = "COPY shop.events TO STDOUT (FORMAT BINARY)"
IN = "COPY public.peer FROM STDIN (FORMAT BINARY)"


class Run(NamedTuple):
    """Events a second of both, and what the machine and the worker were like meanwhile."""

    worker: float
    copy: float
    rss_mb: float
    calibration_s: float


def main() -> None:
    print(description())
    with own_stack() as stack, superuser(stack) as connection:
        connection.execute(PARENTS)
        runs = [_report(_run(stack, connection)) for _ in range(RUNS)]
    worker, copy = (statistics.median(figures) for figures in list(zip(*runs, strict=True))[:2])
    ratio = statistics.median(run.worker / run.copy for run in runs)
    print(f"median: worker {worker:,.0f} events/s, raw COPY {copy:,.0f} rows/s, ratio {ratio:.2f}")


def _report(run: Run) -> Run:
    print(
        f"worker {run.worker:,.0f} events/s, raw COPY {run.copy:,.0f} rows/s, ratio {run.worker / run.copy:.2f},"
        f" worker RSS {run.rss_mb:.0f} MB, calibration {run.calibration_s:.2f} s",
        flush=True,
    )
    return run


def _run(stack: Stack, connection: psycopg.Connection) -> Run:
    stack.supervisor.stop((ETL_WORKER,), WITHIN_S)
    connection.execute("TRUNCATE shop.events")  # deleted rows would leave their index pages to the next run
    asyncio.run(fill(f"127.0.0.1:{stack.ports.kafka}", EVENTS, MAKERS[IDS]))
    connection.execute("CHECKPOINT")
    calibration = calibration_s()
    worker, rss_mb = _drain(stack, connection)
    return Run(worker, _copy(connection), rss_mb, calibration)


def _drain(stack: Stack, connection: psycopg.Connection) -> tuple[float, float]:
    """From the first batch that is committed to the last."""
    start = moved_to(connection)
    worker = _started(stack)
    deadline = time.monotonic() + WITHIN_S
    first: tuple[float, int] | None = None
    rss = 0
    while (moved := moved_to(connection)) < start + EVENTS:
        now = time.monotonic()
        if first is None and moved > start:
            first = now, moved
        rss = max(rss, int(worker.memory_info().rss))
        assert now < deadline, "the backlog was not drained in time"
        time.sleep(POLL_S)
    assert first is not None, "one batch took it all: take more events"
    return (moved - first[1]) / (time.monotonic() - first[0]), rss / 1e6


def _started(stack: Stack) -> psutil.Process:
    """The worker's process. Looked up once: the supervisor works on the same cores as what is measured."""
    stack.supervisor.start((ETL_WORKER,))
    pid = next(part.pid for part in stack.status() if part.name == ETL_WORKER)
    return psutil.Process(pid)


def _copy(connection: psycopg.Connection) -> float:
    """Rows a second of one COPY of what the worker stored, into an equal table with equal indexes."""
    connection.execute(PEER)
    with connection.cursor() as cursor, cursor.copy(OUT) as out:
        rows: Sequence[bytes] = [bytes(piece) for piece in out]
    connection.execute("CHECKPOINT")
    began = time.monotonic()
    with connection.cursor() as cursor:
        with cursor.copy(IN) as copy:
            for begin in range(0, len(rows), 1_000):
                copy.write(b"".join(rows[begin : begin + 1_000]))
        count = cursor.rowcount
    return count / (time.monotonic() - began)


if __name__ == "__main__":
    main()
