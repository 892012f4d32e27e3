"""POST to visible at a low steady rate, alone and while a large file is loaded beside it.

make bench ONLY=bulk                        BULK_ROWS=3000000 STEADY_S=30 RUNS=5
"""

import tempfile
import time
from pathlib import Path

import psycopg

import dropped
from backlog import PARENTS
from machine import calibration_s
from memory import watching
from own_stack import own_stack, superuser
from results import Bar, Figure, Row, percentile, ratios
from settings import BULK_ROWS, RUNS, STEADY_S
from telling import told
from tillstream_native.places import FILE_LOADER
from tillstream_native.stack import Stack
from visible import MS, WARM_S, WITHIN_S, schedule, send_and_see

PER_SECOND = 200
PROBED = 10
ROWS = "SELECT rows, status FROM shop.file_jobs WHERE file_name = %s"
# The rest of a file that has done its duty is not waited for.
FORGET = "UPDATE shop.file_jobs SET status = 'failed', error = 'the benchmark has what it wants', finished_at = now() WHERE file_name = %s"
FRESH = "TRUNCATE shop.orders, shop.order_items, shop.changes"
POLL_S = 0.05


def measure() -> list[Row]:
    """One row: both medians and 99ths of a hundred, per round."""
    found: dict[str, list[float]] = {
        "p50_ms": [],
        "p99_ms": [],
        "p50_beside_ms": [],
        "p99_beside_ms": [],
        "rows_s": [],
        "additions": [],
    }
    moments = schedule(PER_SECOND, STEADY_S)
    with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as folder, own_stack() as stack:
        file = dropped.write(Path(folder) / "bulk.csv", dropped.ORDER_COLUMNS, dropped.orders(BULK_ROWS))
        with superuser(stack) as connection, watching(stack) as watch:
            connection.execute(PARENTS)
            send_and_see(stack.ports, connection, schedule(PER_SECOND, WARM_S), 1, PROBED)
            for number in range(RUNS):
                found["additions"].append(calibration_s())
                alone, _ = send_and_see(stack.ports, connection, moments, 1, PROBED)
                beside, rows = _beside(stack, connection, file, f"bulk-{number}.csv", moments)
                found["p50_ms"].append(percentile(alone, 0.5) * MS)
                found["p99_ms"].append(percentile(alone, 0.99) * MS)
                found["p50_beside_ms"].append(percentile(beside, 0.5) * MS)
                found["p99_beside_ms"].append(percentile(beside, 0.99) * MS)
                found["rows_s"].append(rows)
                told("bulk", **{name: values[-1] for name, values in found.items()})
    figures = (
        Figure("p50, alone", "ms", found["p50_ms"]),
        Figure("p50, beside the file", "ms", found["p50_beside_ms"]),
        Figure("p99, alone", "ms", found["p99_ms"]),
        Figure("p99, beside the file", "ms", found["p99_beside_ms"]),
        Figure(
            "p99: beside the file to alone",
            "×",
            ratios(found["p99_beside_ms"], found["p99_ms"]),
            Bar.BELOW,
            2,
        ),
        Figure("the file meanwhile", "rows/s", found["rows_s"]),
        Figure("3M additions", "s", found["additions"]),
    )
    settings = f"{PER_SECOND} single POSTs a second, {STEADY_S} s, one in {PROBED} looked for, {RUNS} runs; a file of orders"
    return [Row("bulk", "POST to visible beside a large file", settings, figures, watch.found())]


def _beside(
    stack: Stack, connection: psycopg.Connection, file: Path, name: str, moments: list[float]
) -> tuple[list[float], float]:
    """Seconds until events were visible while a file is loaded, and how many rows of it a second."""
    connection.execute(FRESH)
    dropped.begin(stack, file, name)
    first = _rows(connection, name, more_than=0)
    began = time.monotonic()
    seen, _ = send_and_see(stack.ports, connection, moments, 1, PROBED)
    seconds = time.monotonic() - began
    rows = _rows(connection, name, more_than=-1)
    row = connection.execute(ROWS, (name,)).fetchone()
    assert row is not None, "the job is there"
    assert row[1] == "running", "the file was over before the round was: take a larger one"
    stack.supervisor.stop((FILE_LOADER,), WITHIN_S)
    connection.execute(FORGET, (name,))
    stack.supervisor.start((FILE_LOADER,))
    return seen, (rows - first) / seconds


def _rows(connection: psycopg.Connection, name: str, *, more_than: int) -> int:
    """How many rows are committed, once it is more than that."""
    deadline = time.monotonic() + WITHIN_S
    while (row := connection.execute(ROWS, (name,)).fetchone()) is None or row[0] <= more_than:
        assert time.monotonic() < deadline, "the file is not loaded"
        time.sleep(POLL_S)
    return int(row[0])
