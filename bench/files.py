r"""A large file through the folder, beside `\copy` of the same rows into tables with the same indexes, and beside pandas.

    make bench ONLY=files                       ORDERS=1000000 EVENT_ROWS=2000000 RUNS=5 PANDAS_ROWS=100000

The loader hashes the file, checks every rule and every parent, keeps a receipt for each order and what it refuses, and moves its place in
the file with each chunk; `\copy` does nothing but write. pandas keeps the same rules, in one transaction and without receipts; it loads
the first rows of the same file.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import psycopg

import dropped
from backlog import PARENTS, PRODUCTS, USERS
from machine import calibration_s
from memory import watching
from own_stack import cache, make_peer_database, own_stack, peer_dsn, superuser
from peers.environment import peer_programs
from results import Bar, Figure, Row, ratios
from settings import EVENT_ROWS, ORDERS, PANDAS_ROWS, RUNS
from telling import told
from tillstream_native.stack import Stack

SCHEMA = Path(__file__).parent / "peers" / "files.sql"
PANDAS = Path(__file__).parent / "peers" / "pandas_load.py"
COPY_BYTES = 1 << 20
ODD_ONE_IN = 100
FRESH = {
    "orders": "TRUNCATE shop.orders, shop.order_items, shop.changes",
    "events": "TRUNCATE shop.events",
}
FORGOTTEN = "UPDATE shop.file_jobs SET sha256 = NULL"  # else the second round is a duplicate
# A twin of the shop's table: the same columns, indexes and constraints.
TWINS = {
    "orders": """
DROP TABLE IF EXISTS public.twin;
CREATE TABLE public.twin (LIKE shop.orders INCLUDING ALL, FOREIGN KEY (user_id) REFERENCES shop.users (user_id));
ALTER TABLE public.twin ALTER version SET DEFAULT decode(repeat('00', 40), 'hex');
""",
    "events": """
DROP TABLE IF EXISTS public.twin;
CREATE TABLE public.twin (LIKE shop.events INCLUDING ALL);
ALTER TABLE public.twin ALTER source SET DEFAULT 'shop', ALTER accepted_at SET DEFAULT now();
""",
}
COLUMNS = {"orders": dropped.ORDER_COLUMNS, "events": dropped.EVENT_COLUMNS}
PEER_PARENTS = f"""
INSERT INTO users SELECT generate_series(1, {USERS});
INSERT INTO products SELECT generate_series(1, {PRODUCTS});
ANALYZE users, products;
"""


@dataclass(slots=True)
class Found:
    """What the rounds of one kind found, in rows a second."""

    loader: list[float] = field(default_factory=list)
    copy: list[float] = field(default_factory=list)
    pandas: list[float] = field(default_factory=list)
    pandas_rows: list[float] = field(default_factory=list)
    odd: list[float] = field(default_factory=list)
    additions: list[float] = field(default_factory=list)


def measure() -> list[Row]:
    """One row: orders and events."""
    found = {kind: Found() for kind in COLUMNS}
    with _files() as files, own_stack() as stack, superuser(stack) as connection, watching(stack) as watch:
        connection.execute(PARENTS)
        with make_peer_database(stack, SCHEMA) as peer:
            peer.execute(PEER_PARENTS)
            for number in range(RUNS):
                for kind in COLUMNS:
                    _round(stack, connection, peer, files, kind, number, found[kind])
    figures = [each for kind in COLUMNS for each in _figures(kind, found[kind])]
    settings = f"{ORDERS:,} orders and {EVENT_ROWS:,} events, pandas {PANDAS_ROWS:,} of each, {RUNS} runs"
    return [Row("files", "a dropped file, beside \\copy and pandas", settings, figures, watch.found())]


@contextmanager
def _files() -> Iterator[dict[str, Path]]:
    """Those of one run, and the first rows of each for pandas; `odd` has one row in a hundred that breaks its contract."""
    with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as name:
        folder = Path(name)
        rows = {"orders": partial(dropped.orders, ORDERS), "events": partial(dropped.events, EVENT_ROWS)}
        files = {
            kind: dropped.write(folder / f"{kind}.csv", COLUMNS[kind], make()) for kind, make in rows.items()
        }
        for kind, make in rows.items():
            first = islice(make(), PANDAS_ROWS)
            files[f"{kind} for pandas"] = dropped.write(folder / f"{kind}-first.csv", COLUMNS[kind], first)
        odd = dropped.orders(ORDERS, odd_one_in=ODD_ONE_IN)
        files["odd"] = dropped.write(folder / "odd.csv", COLUMNS["orders"], odd)
        yield files


def _round(
    stack: Stack,
    connection: psycopg.Connection,
    peer: psycopg.Connection,
    files: dict[str, Path],
    kind: str,
    number: int,
    found: Found,
) -> None:
    """One of each, one right after the other."""
    found.additions.append(calibration_s())
    found.loader.append(_load(stack, connection, files[kind], kind, f"{kind}-{number}.csv", 0))
    found.copy.append(_copy(connection, files[kind], kind))
    found.pandas.append(_pandas(stack, peer, files[f"{kind} for pandas"], kind, "columns"))
    found.pandas_rows.append(_pandas(stack, peer, files[f"{kind} for pandas"], kind, "rows"))
    if kind == "orders":
        odd = ORDERS // ODD_ONE_IN
        found.odd.append(_load(stack, connection, files["odd"], kind, f"odd-{number}.csv", odd))
    told(
        f"files, {kind}",
        loader=found.loader[-1],
        copy=found.copy[-1],
        ratio=found.loader[-1] / found.copy[-1],
        pandas=found.pandas[-1],
        times=found.loader[-1] / found.pandas[-1],
        pandas_rows=found.pandas_rows[-1],
        times_rows=found.loader[-1] / found.pandas_rows[-1],
        odd=found.odd[-1] if found.odd else 0.0,
        additions_s=found.additions[-1],
    )


def _load(
    stack: Stack, connection: psycopg.Connection, file: Path, kind: str, name: str, rejected: int
) -> float:
    """Rows a second of the loader; all but `rejected` are stored then."""
    connection.execute(FRESH[kind])
    connection.execute(FORGOTTEN)
    connection.execute("CHECKPOINT")
    job = dropped.drop(stack, connection, file, name)
    assert job.rows > 0, f"it became {job}"
    assert (job.rejected, job.loaded) == (rejected, job.rows - rejected), f"it became {job}"
    return job.per_second


def _copy(connection: psycopg.Connection, file: Path, kind: str) -> float:
    r"""What `\copy` does: the client hands the file over as it is."""
    connection.execute(TWINS[kind])
    connection.execute("CHECKPOINT")
    began = time.monotonic()
    statement = f"COPY public.twin ({COLUMNS[kind]}) FROM STDIN (FORMAT csv, HEADER)"
    with file.open("rb") as rows, connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            while block := rows.read(COPY_BYTES):
                copy.write(block)
        count = cursor.rowcount
    return count / (time.monotonic() - began)


def _pandas(stack: Stack, peer: psycopg.Connection, file: Path, kind: str, checks: str) -> float:
    peer.execute(f"TRUNCATE {kind}")
    peer.execute("CHECKPOINT")
    python = str(peer_programs(cache()) / "python")
    done = subprocess.run(
        [python, str(PANDAS), kind, str(file)],
        env={**os.environ, "PEER_DSN": peer_dsn(stack), "PEER_CHECKS": checks},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def _figures(kind: str, found: Found) -> list[Figure]:
    figures = [
        Figure(f"{kind}: loader", "rows/s", found.loader),
        Figure(f"{kind}: \\copy", "rows/s", found.copy),
        Figure(f"{kind}: beside \\copy", "×", ratios(found.loader, found.copy), Bar.AT_LEAST, 0.5),
        Figure(f"{kind}: pandas, row by row", "rows/s", found.pandas_rows),
        Figure(
            f"{kind}: beside pandas, row by row",
            "×",
            ratios(found.loader, found.pandas_rows),
            Bar.AT_LEAST,
            15,
        ),
        Figure(f"{kind}: pandas, column by column", "rows/s", found.pandas),
        Figure(
            f"{kind}: beside pandas, column by column",
            "×",
            ratios(found.loader, found.pandas),
            Bar.AT_LEAST,
            15,
        ),
        Figure(f"{kind}: 3M additions", "s", found.additions),
    ]
    if found.odd:
        dearer = [100 * (clean / odd - 1) for clean, odd in zip(found.loader, found.odd, strict=True)]
        figures.append(Figure("1 % rejects: more time", "%", dearer, Bar.BELOW, 15))
    return figures
