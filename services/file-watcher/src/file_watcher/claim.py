"""Takes a dropped file: from here on it belongs to one job."""

import os
from dataclasses import dataclass
from pathlib import Path

import structlog

from file_watcher.meta import Metas, Unsettled, is_meta, meta_path
from file_watcher.scan import Dropped
from tillstream.clock import Clock
from tillstream.contracts.file_meta import FileMeta
from tillstream.contracts.file_names import harmless, name_problem
from tillstream.contracts.files import FileJob, job_to_json
from tillstream.contracts.ids import new_id
from tillstream.errors import FileRefused
from tillstream.folders import (
    Folders,
    durable_file,
    move,
    open_regular,
    stored_name,
)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    max_bytes: int


class Claimer:
    """Claims by rename. A file that cannot be taken stays and is said once; one that never can be goes to `error/`.

    First the job is written, then the file is renamed: whatever lies in `work/` has its job beside it, so that the
    same job is sent after every crash.
    """

    def __init__(self, folders: Folders, policy: ClaimPolicy, clock: Clock, metas: Metas) -> None:
        self._folders = folders
        self._metas = metas
        self._policy = policy
        self._clock = clock
        self._told: dict[Path, str] = {}

    def claim(self, dropped: Dropped) -> FileJob | None:
        """The file's job, or None where it was refused or has to wait. Raises OSError where the disk fails."""
        if is_meta(dropped.path):
            self._leave_meta(dropped.path)
            return None
        problem = self._refusal(dropped)
        if problem is not None:
            self._refuse(dropped.path, problem)
            return None
        try:
            with open_regular(dropped.path) as file:
                meta = self._meta(dropped.path)
                return None if meta is None else self._take(dropped, os.fstat(file.fileno()), meta)
        except FileNotFoundError:
            return None  # another watcher, or its owner, was quicker
        except (FileRefused, PermissionError) as error:
            self._tell(dropped.path, str(error))
            return None

    def _refusal(self, dropped: Dropped) -> str | None:
        if not dropped.is_regular:
            return "it is no regular file"
        if dropped.bytes > self._policy.max_bytes:
            return f"it has {dropped.bytes} bytes, more than {self._policy.max_bytes}"
        return name_problem(dropped.path.name)

    def _meta(self, path: Path) -> FileMeta | None:
        """What is said about the file; None where it has to wait, or went to `error/` with what is said of it."""
        try:
            return self._metas.of(path)
        except Unsettled:
            return None
        except FileRefused as error:
            self._refuse(path, str(error))
            self._refuse(meta_path(path), str(error))
            return None

    def _leave_meta(self, path: Path) -> None:
        if self._metas.is_forlorn(path):
            self._refuse(path, "the file that it speaks of has not come")

    def _take(self, dropped: Dropped, facts: os.stat_result, meta: FileMeta) -> FileJob | None:
        job_id = new_id()
        job = FileJob(
            job_id=job_id,
            file_name=dropped.path.name,
            stored_name=stored_name(job_id, dropped.path.name),
            source=meta.source or dropped.source,
            claimed_at=self._clock.now(),
            bytes=facts.st_size,
            as_of=meta.as_of,
        )
        sidecar = self._folders.sidecar(job_id)
        target = self._folders.work / job.stored_name
        with durable_file(sidecar) as written:
            written.write(job_to_json(job))
        try:
            move(dropped.path, target)
        except OSError:
            sidecar.unlink()
            raise
        self._told.pop(dropped.path, None)
        self._metas.put_away(dropped.path, job_id)
        if not _is_same(target, facts):
            self._refuse(target, "another file took its name while it was claimed", target.name)
            sidecar.unlink()
            return None
        _log.info(
            "Claimed a file.", job_id=str(job_id), file_name=job.file_name, source=job.source, bytes=job.bytes
        )
        return job

    def _refuse(self, path: Path, problem: str, name: str | None = None) -> None:
        target = self._folders.error / (name or stored_name(new_id(), harmless(path.name)))
        try:
            move(path, target)
        except FileNotFoundError:
            return
        _log.error(
            "ALARM: a dropped file was refused and lies in error/.",
            file_name=ascii(path.name),
            problem=problem,
            moved_to=target.name,
        )

    def _tell(self, path: Path, problem: str) -> None:
        if self._told.get(path) != problem:
            self._told[path] = problem
            _log.error(
                "ALARM: a dropped file cannot be taken yet.", file_name=ascii(path.name), problem=problem
            )

    def forget_others(self, present: set[Path]) -> None:
        """Drop what was remembered of files that are gone."""
        self._told = {path: problem for path, problem in self._told.items() if path in present}


def _is_same(path: Path, facts: os.stat_result) -> bool:
    now = path.lstat()
    return (now.st_dev, now.st_ino) == (facts.st_dev, facts.st_ino)
