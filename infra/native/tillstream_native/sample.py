"""The sample shop, loaded by the road that every file takes: dropped into the input folder."""

import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tillstream_native import web
from tillstream_native.places import REPOSITORY, Places
from tillstream_native.processes import tail
from tillstream_native.system import CannotRun

SAMPLE = REPOSITORY / "data" / "sample"
POLL_S = 0.05
ORDER = ("users", "products", "orders", "order_items", "events")


def load_sample(places: Places, query_port: int, within_s: float) -> list[dict[str, Any]]:
    """Drop the files that never came before, wait until all are settled, and return their jobs."""
    files = sorted(
        SAMPLE.glob("*.csv"), key=lambda file: ORDER.index(file.stem) if file.stem in ORDER else -1
    )
    for file in files:
        if _job(query_port, file.name) is None and not _is_on_its_way(places, file.name):
            drop(file, places)
    deadline = time.monotonic() + within_s
    while True:
        jobs = {file.name: _job(query_port, file.name) for file in files}
        settled = [job for job in jobs.values() if job and job["settled_at"]]
        failed = [job for job in jobs.values() if job and job["status"] == "failed"]
        if failed:
            raise CannotRun(f"The sample file {failed[0]['file_name']} failed: {failed[0]['error']}")
        if len(settled) == len(files):
            return settled
        if time.monotonic() > deadline:
            waiting = ", ".join(name for name, job in jobs.items() if not (job and job["settled_at"]))
            raise CannotRun(
                f"{waiting} did not load within {within_s:.0f} s. The loader's log ends with:\n{tail(places.log('file-loader'))}"
            )
        time.sleep(POLL_S)


def drop(file: Path, places: Places) -> None:
    """Put a copy into the input folder under its name, whole from the first moment."""
    half = places.data / f".{file.name}.half"
    shutil.copyfile(file, half)
    half.rename(places.inbox / file.name)


def _is_on_its_way(places: Places, name: str) -> bool:
    return (places.inbox / name).exists() or any((places.data / "work").glob(f"*__{name}"))


def _job(query_port: int, file_name: str) -> dict[str, Any] | None:
    """The newest job of a file; services may still be finding each other, so silence counts as none yet."""
    try:
        status, body = web.get(query_port, f"/jobs?file_name={quote(file_name)}&limit=1")
    except OSError:
        return None
    if status != 200 or not isinstance(body, dict):  # noqa: PLR2004 - HTTP's own number
        return None
    jobs: list[dict[str, Any]] = body["jobs"]
    return jobs[0] if jobs else None
