"""`materialize_daily_revenue`: `output/daily_revenue.csv`, and a copy with the day of the run in its name.

The rows and their order are those of query-api's /metrics/daily-revenue: both ask the same function of the database.
"""

import csv
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from tillstream_dags.database import Connection, transaction
from tillstream_dags.sql_files import statement_of

COLUMNS = ("order_day", "daily_revenue", "total_orders")
NAME = "daily_revenue"
ROWS_AT_ONCE = 1_000
MODE = 0o644

_log = logging.getLogger(__name__)


def export_revenue(connection: Connection, output: Path, as_of: datetime) -> list[Path]:
    """Write both files, newest day first, and return their paths; may be repeated.

    Each is there whole or not at all, also after a crash: written beside under a dotfile, made durable, then renamed.
    The copy carries the shop day of `as_of`, so the same run writes the same name again.
    """
    with transaction(connection, snapshot=True) as cursor:
        cursor.execute("SELECT api.shop_day(%(moment)s)", {"moment": as_of})
        day = cursor.fetchone()
        assert day is not None
        cursor.execute(statement_of("daily_revenue.sql"))
        paths = [output / f"{NAME}-{day[0]}.csv", output / f"{NAME}.csv"]
        written = _write_whole(paths, _rows(cursor))
    _log.info("Wrote %d days to %s.", written, " and ".join(str(path) for path in paths))
    return paths


def _rows(cursor: Any) -> Iterator[Sequence[Any]]:
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield from rows


def _write_whole(paths: Sequence[Path], rows: Iterator[Sequence[Any]]) -> int:
    """The same rows under every path; how many there were."""
    halves = [path.with_name(f".{path.name}.half") for path in paths]
    try:
        with ExitStack() as opened:
            files = [opened.enter_context(_new_file(half)) for half in halves]
            written = _write_rows(files, rows)
            for file in files:
                os.fchmod(file.fileno(), MODE)
                _make_durable(file)
        for half, path in zip(halves, paths, strict=True):
            half.replace(path)
    finally:
        for half in halves:
            half.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        _make_names_durable(folder)
    return written


def _new_file(half: Path) -> IO[str]:
    """Others may write in this folder: a link that lies there under the name must not be followed, nor a pipe waited for."""
    half.unlink(missing_ok=True)
    return half.open("x", encoding="utf-8", newline="")


def _write_rows(files: Sequence[IO[str]], rows: Iterator[Sequence[Any]]) -> int:
    tables = [csv.writer(file, lineterminator="\n") for file in files]
    for table in tables:
        table.writerow(COLUMNS)
    written = 0
    for row in rows:
        for table in tables:
            table.writerow(row)
        written += 1
    return written


def _make_durable(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _make_names_durable(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some file systems that containers share refuse it for folders
            os.fsync(handle)
    finally:
        os.close(handle)
