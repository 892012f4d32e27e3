"""Every row, each beside its peer, into `docs/benchmarks.md`.

make bench                                          (RUNS=5 EVENTS=1000000 ROWS=10000000 ONLY='worker sink')
python bench/rows.py --print worker                 one row, printed and not kept
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import bulk
import files
import full_table
import ingest
import page
import sink
import visible
import worker
from machine import machine
from results import Row
from telling import tell

Measure = Callable[[], list[Row]]
ROWS: Mapping[str, Measure] = {
    "ingest": ingest.measure,
    "worker": worker.measure,
    "sink": sink.measure,
    "visible": visible.measure,
    "full-table": full_table.measure,
    "files": files.measure,
    "bulk": bulk.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Returns 1 when a row failed; a bar that is not met is no failure."""
    only_print = "--print" in arguments
    names = [name for name in arguments if name in ROWS] or os.environ.get("ONLY", "").split() or list(ROWS)
    assert set(names) <= set(ROWS), f"there are {', '.join(ROWS)}"
    kept = page.Record() if set(names) == set(ROWS) else page.read()
    record = replace(kept.with_all(ROWS), machine=machine())
    print("\n".join(record.machine.values()), flush=True)
    failed = False
    for name in names:
        rows = _measured(name, ROWS[name])
        tell(rows)
        failed |= any(row.failed for row in rows)
        record = record.with_rows(name, rows)
        if not only_print:
            page.write(record)
    return int(failed)


def _measured(name: str, measure: Measure) -> list[Row]:
    began, load = time.monotonic(), os.getloadavg()[0]
    try:
        rows = measure()
    except Exception as error:  # noqa: BLE001 - the edge of the loop: a row that fails says so, the others are measured
        traceback.print_exc()
        rows = [Row(name, name, "", failed=_reason(error))]
    minutes = (time.monotonic() - began) / 60
    measured_at = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {minutes:.0f} minutes, load average before it {load:.1f}"
    )
    return [replace(row, measured_at=measured_at) for row in rows]


def _reason(error: Exception) -> str:
    """One line of the innermost: a group of tasks says only that one of them failed."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
