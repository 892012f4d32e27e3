"""The worker on a backlog of events, beside a raw COPY of the same rows into the same table.

    EVENTS=1000000 RUNS=5 make bench-worker

The worker fetches, reads, checks parents and ids, writes receipts and moves its offsets; the COPY does nothing but write.
"""

import time

import psycopg

from backlog import PARENTS
from draining import drain, pile_up
from machine import calibration_s
from memory import watching
from own_stack import own_stack, superuser
from results import Bar, Figure, Row, ratios
from settings import EVENTS, IDS, RUNS
from telling import told

COPY_CHUNKS = 1_000
PEER = """
DROP TABLE IF EXISTS public.peer;
CREATE TABLE public.peer (LIKE shop.events INCLUDING ALL);
"""
OUT = "COPY shop.events TO STDOUT (FORMAT BINARY)"
IN = "COPY public.peer FROM STDIN (FORMAT BINARY)"


def measure() -> list[Row]:
    """One row: the worker and the COPY."""
    worker: list[float] = []
    copy: list[float] = []
    calibration: list[float] = []
    with own_stack() as stack, superuser(stack) as connection, watching(stack) as watch:
        connection.execute(PARENTS)
        for _ in range(RUNS):
            pile_up(stack, EVENTS, IDS)
            connection.execute("TRUNCATE shop.events")  # deleted rows would leave their index pages behind
            calibration.append(calibration_s())
            worker.append(drain(stack, connection, EVENTS))
            copy.append(_copy(connection))
            told(
                "worker",
                worker=worker[-1],
                copy=copy[-1],
                ratio=worker[-1] / copy[-1],
                additions_s=calibration[-1],
            )
    figures = (
        Figure("worker", "events/s", worker, Bar.AT_LEAST, 50_000),
        Figure("raw COPY", "rows/s", copy),
        Figure("worker beside COPY", "×", ratios(worker, copy), Bar.AT_LEAST, 0.3),
        Figure("3M additions", "s", calibration),
    )
    settings = f"a backlog of {EVENTS:,} events with {IDS} ids, {RUNS} runs"
    return [Row("worker", "worker on a backlog, beside a raw binary COPY", settings, figures, watch.found())]


def _copy(connection: psycopg.Connection) -> float:
    """Rows a second of one COPY of what the worker stored, into an equal table with equal indexes."""
    connection.execute(PEER)
    with connection.cursor() as cursor, cursor.copy(OUT) as out:
        rows = [bytes(piece) for piece in out]
    connection.execute("CHECKPOINT")
    began = time.monotonic()
    with connection.cursor() as cursor:
        with cursor.copy(IN) as copy:
            for begin in range(0, len(rows), COPY_CHUNKS):
                copy.write(b"".join(rows[begin : begin + COPY_CHUNKS]))
        count = cursor.rowcount
    return count / (time.monotonic() - began)
