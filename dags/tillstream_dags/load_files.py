"""`load_csv_to_database`: the files of `raw/` go through the upload door, and their statements are judged.

Safe to run again at any time. The key of an upload says which bytes they are and which moment they describe, so a
retry, a cleared task or a second run finds its jobs again instead of loading twice; only a job that failed or found no
header that it knows is begun anew, when a person clears the task or starts another run.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from tillstream_dags.doors import Json, Upload
from tillstream_dags.errors import Refused, Unavailable
from tillstream_dags.plain_files import open_plain

# Parents before children, as the loader would take them too. The second word is what the loader must take a file for.
FILES = (
    ("users.csv", "user"),
    ("products.csv", "product"),
    ("orders.csv", "order"),
    ("order_items.csv", "order_item"),
    ("events.csv", "event"),
)
SOURCE = "shop"
KEY_PREFIX = "ecommerce_etl_pipeline"
# How often a file that failed may be sent once more without a change in it.
MAX_ATTEMPTS = 20
POLL_S = 0.2
MAX_POLL_S = 5.0
# The sweep looks for missing parents once a second; who still waits after this long waits for something else.
PARKED_WITHIN_S = 5.0
# An older time of the last write is that of an archive or an image which keeps no times.
OLDEST_WRITE = datetime(2000, 1, 1, tzinfo=UTC)
LOADED = frozenset({"loaded", "loaded_with_rejects", "duplicate"})
OVER = LOADED | {"archived", "failed"}
COUNTS = ("rows", "loaded", "unchanged", "superseded", "duplicate", "parked", "rejected")

_log = logging.getLogger(__name__)


class LoadDoors(Protocol):
    """What this use case needs of `doors.Doors`."""

    def send(self, upload: Upload, deadline: float) -> Json: ...

    def job(self, job_id: str, deadline: float) -> Json | None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run puts up with, in per cent of the rows of a file, and how many seconds it waits for all of them."""

    rejected_percent: float
    parked_percent: float
    within_s: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file at one moment: another look that is equal found the same bytes."""

    size: int
    inode: int
    written_at_ns: int

    @property
    def written_at(self) -> datetime:
        return datetime.fromtimestamp(self.written_at_ns // 10**9, tz=UTC)


def load_files(
    raw: Path, as_of: datetime, doors: LoadDoors, limits: Limits, sleep: Callable[[float], None] = time.sleep
) -> list[Json]:
    """Send the five files, wait until their jobs are settled, and return the jobs in the order of the files.

    `as_of` is the moment that the files describe at the latest; a file that was written before describes that earlier
    one. Raises Refused for a link, and for a file that failed, was taken for another kind, or has too many rejected or parked rows;
    Unavailable where one is missing, was written meanwhile, or did not end in time.
    """
    deadline = time.monotonic() + limits.within_s
    paths = [raw / name for name, _ in FILES]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise Unavailable(f"{raw} lacks {', '.join(missing)}; nothing was loaded.")
    for path in paths:
        open_plain(path).close()
    jobs: list[Json] = []
    for path, (_, kind) in zip(paths, FILES, strict=True):
        job_id = _send(path, as_of, doors, deadline, sleep)
        job = _wait(job_id, path.name, doors, deadline, sleep)
        _log.info("%s", statement(job))
        _judge_file(job, kind, limits)  # a child of a file that failed would only be parked
        jobs.append(job)
    jobs = _wait_for_parents(jobs, doors, deadline, sleep)
    for job in jobs:
        _judge_rows(job, "parked", limits.parked_percent)
        _judge_rows(job, "rejected", limits.rejected_percent)
    return jobs


def statement(job: Json) -> str:
    """One line that a person reads in the log or in a failure."""
    counts = " ".join(f"{name}={job.get(name)}" for name in COUNTS)
    error = f": {job['error']}" if job.get("error") else ""
    return f"{job.get('file_name')} is {job.get('status')} (job {job.get('job_id')}): {counts}{error}"


def _send(
    path: Path, as_of: datetime, doors: LoadDoors, deadline: float, sleep: Callable[[float], None]
) -> str:
    """The id of the job that has these bytes: a new one, or an earlier one that did not fail."""
    seen = _look(path)
    with open_plain(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    moment = as_of if seen.written_at < OLDEST_WRITE else min(as_of, seen.written_at)
    key = f"{KEY_PREFIX}:{moment.isoformat()}:{digest}"
    for attempt in range(1, MAX_ATTEMPTS + 1):
        upload = Upload(path, SOURCE, moment, key if attempt == 1 else f"{key}:{attempt}")
        with _unwritten(path, seen):
            answer = doors.send(upload, deadline)
        job_id = str(answer["job_id"])
        if not answer["repeated"]:
            _log.info("Sent %s as of %s: job %s.", path.name, moment.isoformat(), job_id)
            return job_id
        job = _wait(job_id, path.name, doors, deadline, sleep)
        if job["status"] not in {"failed", "archived"}:
            _log.info("%s was sent before: job %s.", path.name, job_id)
            return job_id
        _log.info("An earlier attempt failed and is made again: %s", statement(job))
    raise Refused(f"{path.name} failed {MAX_ATTEMPTS} times without a change in it.")


@contextmanager
def _unwritten(path: Path, seen: _Seen) -> Iterator[None]:
    """Raises Unavailable where the file changes meanwhile, whatever else that leads to."""
    try:
        yield
    finally:
        if _look(path) != seen:
            raise Unavailable(f"{path} was written while it was sent.")


def _look(path: Path) -> _Seen:
    found = path.lstat()
    return _Seen(found.st_size, found.st_ino, found.st_mtime_ns)


def _wait(
    job_id: str, name: str, doors: LoadDoors, deadline: float, sleep: Callable[[float], None]
) -> dict[str, Any]:
    """The job once it is over, though rows may still be parked."""
    pause = POLL_S
    while True:
        job = doors.job(job_id, deadline)
        if job is not None and job["status"] in OVER:
            return job
        if time.monotonic() + pause > deadline:
            seen = "no loader has seen it" if job is None else statement(job)
            raise Unavailable(f"The job {job_id} of {name} was not over in time: {seen}.")
        sleep(pause)
        pause = min(pause * 1.5, MAX_POLL_S)


def _wait_for_parents(
    jobs: Sequence[Json], doors: LoadDoors, deadline: float, sleep: Callable[[float], None]
) -> list[Json]:
    """The jobs again, settled as far as they settle by themselves within a short time."""
    until = min(deadline, time.monotonic() + PARKED_WITHIN_S)
    current = list(jobs)
    while time.monotonic() < until:
        open_jobs = [place for place, job in enumerate(current) if _is_unsettled(job)]
        if not open_jobs:
            break
        sleep(POLL_S)
        for place in open_jobs:
            current[place] = doors.job(str(current[place]["job_id"]), deadline) or current[place]
    return current


def _is_unsettled(job: Json) -> bool:
    return job["settled_at"] is None and job["status"] in LOADED


def _judge_file(job: Json, kind: str, limits: Limits) -> None:
    if job["status"] not in LOADED:
        raise Refused(statement(job))
    if job["kind"] != kind:
        raise Refused(f"It was taken for a file of kind {job['kind']}, not {kind}. {statement(job)}")
    _judge_rows(job, "rejected", limits.rejected_percent)


def _judge_rows(job: Json, what: str, limit_percent: float) -> None:
    if job[what] * 100 > limit_percent * job["rows"]:
        raise Refused(f"More than {limit_percent:g} % of the rows are {what}. {statement(job)}")
    if job[what]:
        _log.warning("%s of %s rows of %s are %s.", job[what], job["rows"], job["file_name"], what)
