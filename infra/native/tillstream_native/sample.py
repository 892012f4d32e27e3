"""The sample shop, loaded by the road that every file takes: dropped into the input folder."""

import hashlib
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tillstream_native import web
from tillstream_native.places import REPOSITORY, Places
from tillstream_native.processes import tail
from tillstream_native.system import CannotRun

SAMPLE = REPOSITORY / "data" / "sample"
POLL_S = 0.05
JOBS_PER_PAGE = 500
ORDER = ("users", "products", "orders", "order_items", "events")

type Job = dict[str, Any]


def load_sample(places: Places, query_port: int, within_s: float, sample: Path = SAMPLE) -> list[Job]:
    """Drop the files whose content never came before, wait until all are settled, and return their jobs."""
    files = sorted(
        sample.glob("*.csv"), key=lambda file: ORDER.index(file.stem) if file.stem in ORDER else -1
    )
    dropped: set[Path] = set()
    settled: dict[Path, Job] = {}
    deadline = time.monotonic() + within_s
    while True:
        for file in (file for file in files if file not in settled):
            job = _load(file, places, query_port, dropped)
            if job and job["settled_at"]:
                settled[file] = job
        if len(settled) == len(files):
            return list(settled.values())
        if time.monotonic() > deadline:
            waiting = ", ".join(file.name for file in files if file not in settled)
            raise CannotRun(
                f"{waiting} did not load within {within_s:.0f} s. The loader's log ends with:\n{tail(places.log('file-loader'))}"
            )
        time.sleep(POLL_S)


def copy_to_raw(places: Places, sample: Path = SAMPLE) -> None:
    """Give the nightly DAG the sample to load, the first time; from then on the folder belongs to the shop."""
    if places.raw.exists():
        return
    half = places.data / ".raw.half"  # whole or not at all, also where the copying is cut short
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for file in sample.glob("*.csv"):
        shutil.copyfile(file, half / file.name)
    half.rename(places.raw)


def drop(file: Path, places: Places) -> None:
    """Put a copy into the input folder under its name, whole from the first moment."""
    half = places.data / f".{file.name}.half"
    shutil.copyfile(file, half)
    half.rename(places.inbox / file.name)


def _load(file: Path, places: Places, query_port: int, dropped: set[Path]) -> Job | None:
    """One look after one file, which is dropped at most once. Raises CannotRun when its content does not load."""
    # Looked for before the jobs are: what is put away in between has its job by then.
    is_coming = file in dropped or _is_on_its_way(file, places)
    try:
        jobs = _jobs(file, query_port)
    except OSError:  # the services may still be finding each other
        return None
    best = next((job for job in jobs if job["settled_at"]), jobs[0] if jobs else None)
    if best and best["status"] == "failed":
        raise CannotRun(f"The sample file {file.name} failed: {best['error']}")
    # Another file of that name, not claimed yet, must not be written over.
    if best is None and not is_coming and not (places.inbox / file.name).exists():
        drop(file, places)
        dropped.add(file)
    return best


def _is_on_its_way(file: Path, places: Places) -> bool:
    found = (places.inbox / file.name, *(places.data / "work").glob(f"*__{file.name}"))
    return any(_digest(each) == _digest(file) for each in found)


def _jobs(file: Path, query_port: int) -> list[Job]:
    """Every job of this name and content, newest first: people drop files of their own under the same names."""
    digest, found = _digest(file), list[Job]()
    page: Job = {"next_cursor": ""}
    while (cursor := page["next_cursor"]) is not None:
        question = {"file_name": file.name, "limit": JOBS_PER_PAGE, **({"cursor": cursor} if cursor else {})}
        status, page = web.get(query_port, f"/jobs?{urlencode(question)}")
        if status != 200 or not isinstance(page, dict):  # noqa: PLR2004 - HTTP's own number
            raise ConnectionError(f"query-api answered /jobs with {status}")
        found += [job for job in page["jobs"] if job["sha256"] == digest]
    return found


def _digest(file: Path) -> str | None:
    """In hexadecimal, as jobs have it; None when the file is gone."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
