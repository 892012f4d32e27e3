"""Removes files that were put away long ago, where a setting says how long they are kept. Without one nothing is removed.

A file goes only once its job is over and settled and its rejects file is complete, and both clocks say that its time has passed:
the database's, since the job was settled, and the file system's, since the file came to its place (its ctime, which a
rename sets: the time of the last write is the partner's, and may be years old). What is open in quarantine keeps a rejects
file for the same time again, from its newest entry on.

Only regular files go, and only under the exact names that a job gives: what has no job stays for ever.
"""

import asyncio
import heapq
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from psycopg import AsyncConnection

from etl_worker.file_loader.over_jobs import OverJobs, Settled
from etl_worker.file_loader.watch import LoadWatch
from tillstream.clock import Clock
from tillstream.contracts.file_meta import META_SUFFIX
from tillstream.folders import REASON_SUFFIX, REJECTS_SUFFIX, Folders, job_id_of, stored_name

# Of a folder in one pass; where there are more, the next pass goes on after them.
NAMES_PER_PASS = 2_000
REST_S = 600.0  # after the last name of a folder, before its first one again
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_EDITED = re.compile(r"\.edited-[1-9][0-9]*\.csv")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Keep:
    """How long files are kept in each folder; None: for ever."""

    processed: timedelta | None = None
    error: timedelta | None = None
    invalid: timedelta | None = None

    def shortest(self) -> timedelta | None:
        return min(
            (each for each in (self.processed, self.error, self.invalid) if each is not None), default=None
        )


@dataclass(frozen=True, slots=True)
class Due:
    """A name whose time has passed by the database's clock; it goes only after the file at `behind`, if there is one."""

    name: str
    keep: timedelta
    behind: Path | None = None


class Retention:
    """Remembers where its turn through each folder is. `remove` may be repeated, and be broken off at any moment."""

    def __init__(self, folders: Folders, keep: Keep, over: OverJobs, clock: Clock, watch: LoadWatch) -> None:
        self._folders = folders
        self._keep = keep
        self._over = over
        self._clock = clock
        self._watch = watch
        self._after: dict[Path, str] = {}
        self._rest_until: dict[Path, float] = {}

    async def remove(self, conn: AsyncConnection) -> None:
        """One stretch of each folder. A folder or a file that fails is told and passed over. Raises psycopg's errors."""
        at_least = self._keep.shortest()
        if at_least is None:
            return
        # What was said beside a failed file lies in processed/, and goes after it.
        for folder in (self._folders.error, self._folders.processed, self._folders.invalid):
            if self._clock.monotonic() >= self._rest_until.get(folder, 0.0):
                due = await self._due(conn, folder, await self._next_names(folder), at_least)
                if due:
                    await asyncio.to_thread(self._remove, folder, due)
                self._watch.pulse()

    async def _next_names(self, folder: Path) -> list[str]:
        try:
            names = await asyncio.to_thread(_names, folder, self._after.get(folder, ""))
        except OSError as error:
            self._failed(folder, folder.name, error)
            names = []
        is_end = len(names) < NAMES_PER_PASS
        self._after[folder] = "" if is_end else names[-1]
        if is_end:
            self._rest_until[folder] = self._clock.monotonic() + REST_S
        return names

    async def _due(
        self, conn: AsyncConnection, folder: Path, names: Sequence[str], at_least: timedelta
    ) -> list[Due]:
        ids = {name: job_id for name in names if (job_id := job_id_of(name)) is not None}
        if not ids:
            return []
        with_open = folder == self._folders.invalid
        found = await self._over.over(conn, set(ids.values()), at_least, with_open=with_open)
        jobs = {job.job_id: job for job in found}
        due = (self._judged(folder, name, jobs[job_id]) for name, job_id in ids.items() if job_id in jobs)
        return [each for each in due if each is not None]

    def _judged(self, folder: Path, name: str, job: Settled) -> Due | None:
        stored = stored_name(job.job_id, job.file_name)
        home, kept = self._home(job)
        if folder == self._folders.invalid:
            is_ours = name == stored + REJECTS_SUFFIX or _is_edited(stored, name)
            is_wanted = job.open_for is not None and job.open_for < (self._keep.invalid or job.open_for)
            return _old(job, name, self._keep.invalid) if is_ours and not is_wanted else None
        if name in {stored, stored + REASON_SUFFIX} and folder == home:
            return _old(job, name, kept)
        if name == stored + META_SUFFIX and folder == self._folders.processed:
            return _old(job, name, kept, home / stored)
        return None

    def _home(self, job: Settled) -> tuple[Path, timedelta | None]:
        """Where a job's own file lies, and how long it is kept; what was said beside it goes with it."""
        if job.status == "failed":
            return self._folders.error, self._keep.error
        return self._folders.processed, self._keep.processed

    def _remove(self, folder: Path, due: Iterable[Due]) -> None:
        """Blocks on the disk. Every name is looked at and removed within the folder that was opened."""
        try:
            with _opened(folder) as handle:
                for each in due:
                    self._remove_one(folder, handle, each)
        except OSError as error:
            self._failed(folder, folder.name, error)

    def _remove_one(self, folder: Path, handle: int, due: Due) -> None:
        try:
            facts = os.stat(due.name, dir_fd=handle, follow_symlinks=False)
            is_old = facts.st_ctime <= self._clock.now().timestamp() - due.keep.total_seconds()
            is_behind = due.behind is not None and os.path.lexists(due.behind)
            if not stat.S_ISREG(facts.st_mode) or not is_old or is_behind:
                return
            os.unlink(due.name, dir_fd=handle)
        except FileNotFoundError:
            return
        except OSError as error:
            self._failed(folder, due.name, error)
            return
        self._watch.removed(folder.name)
        _log.info("An old file was removed.", folder=folder.name, file=due.name, bytes=facts.st_size)

    def _failed(self, folder: Path, name: str, error: OSError) -> None:
        self._watch.not_removed(folder.name)
        _log.warning("What is old cannot be removed.", folder=folder.name, file=name, problem=str(error))


def _old(job: Settled, name: str, keep: timedelta | None, behind: Path | None = None) -> Due | None:
    return Due(name, keep, behind) if keep is not None and job.settled_for >= keep else None


def _is_edited(stored: str, name: str) -> bool:
    return name.startswith(stored) and _EDITED.fullmatch(name.removeprefix(stored)) is not None


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A folder that is one itself, and no link to one. Raises OSError."""
    handle = os.open(folder, _FOLDER_FLAGS)
    try:
        yield handle
    finally:
        os.close(handle)


def _names(folder: Path, after: str) -> list[str]:
    """The next names of a folder, in their order, which is that of the claims. Blocks on the disk; raises OSError."""
    with _opened(folder) as handle, os.scandir(handle) as entries:
        return heapq.nsmallest(NAMES_PER_PASS, (entry.name for entry in entries if entry.name > after))
