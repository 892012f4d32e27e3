"""Takes a dropped file: from here on it belongs to one job."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog

from file_watcher.defaults import BrokenDefaults, Defaults
from file_watcher.markers import MarkerRule
from file_watcher.meta import Metas, Unsettled, meta_path
from file_watcher.refusals import Refusals, refusal
from file_watcher.scan import Dropped
from file_watcher.stuck import Obstacle, Stuck
from tillstream.clock import Clock
from tillstream.contracts.file_meta import FileMeta, is_meta
from tillstream.contracts.file_names import harmless, name_problem
from tillstream.contracts.files import FileJob, read_job
from tillstream.contracts.ids import new_id
from tillstream.errors import FileRefused
from tillstream.folders import (
    REASON_SUFFIX,
    Folders,
    durable_file,
    move,
    open_regular,
    put_to_work,
    stored_name,
    sync_folder,
    write_job,
)
from tillstream.observe.metrics import Metrics

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    max_bytes: int
    markers: MarkerRule
    default_source: str


class Claimer:
    """Claims by rename. A file that cannot be taken stays and is said once; one that never can be goes to `error/`.

    First the job is written, then the file is renamed, last its marker goes: whatever lies in `work/` has its job beside
    it, so that the same job is sent after every crash. Several watchers may claim in one folder: of each file one
    rename succeeds, and who comes too late takes its job back.
    """

    def __init__(
        self,
        folders: Folders,
        policy: ClaimPolicy,
        clock: Clock,
        stuck: Stuck,
        metrics: Metrics,
        metas: Metas,
        defaults: Defaults,
        refusals: Refusals,
    ) -> None:
        self._folders = folders
        self._metas = metas
        self._defaults = defaults
        self._policy = policy
        self._clock = clock
        self._stuck = stuck
        self._metrics = metrics
        self._refusals = refusals
        self._untold = list[UUID]()

    def claim(self, dropped: Dropped) -> FileJob | None:
        """The file's job, or None where it was refused or has to wait. Raises OSError where the disk fails."""
        if is_meta(dropped.name):
            self._leave_meta(dropped)
            return None
        problem = self._refusal(dropped)
        if problem is not None:
            self._refuse(dropped, dropped.path, problem)
            self._remove_marker(dropped)
            return None
        try:
            with open_regular(dropped.path) as file:
                facts = os.fstat(file.fileno())
                # A scan of many files takes a while, and their partners may have gone on writing meanwhile.
                meta = self._said(dropped, facts) if dropped.looks_like(facts) else None
                job = self._take(dropped, facts, meta) if meta is not None else None
        except FileNotFoundError:
            return None  # another watcher, or its owner, was quicker
        except (FileRefused, PermissionError) as error:
            self._stuck.tell(dropped.path, Obstacle.NOT_TAKEN, str(error))
            return None
        if job is not None:
            self._remove_marker(dropped)
        return job

    def refused(self) -> list[UUID]:
        """The jobs of what was refused since the last call."""
        untold, self._untold = self._untold, []
        return untold

    def finish_claims(self, step: Callable[[], None]) -> None:
        """Remove the markers of files in `work/`, and put away what was said about them: a crash may have come before. `step`
        after each file. Raises OSError."""
        for job_id in self._folders.claimed():
            self._finish(job_id)
            step()

    def _finish(self, job_id: UUID) -> None:
        sidecar = self._folders.sidecar(job_id)
        try:
            written, job = sidecar.lstat(), read_job(sidecar.read_bytes(), self._clock.now())
        except FileNotFoundError:
            return
        if not isinstance(job, FileJob):
            return
        for place, source in self._places_of(job.source):
            path = place / job.file_name
            self._metas.finish(path, source, job, written)
            marker = self._policy.markers.spent_on(path, written)
            if marker is not None and not os.path.lexists(path):  # else it may be that of another file
                marker.remove()

    def _places_of(self, source: str) -> Iterator[tuple[Path, str]]:
        """Where its file may have lain, each with the source of the folder: in `input/` itself, too, since a meta file there
        may name any source."""
        yield self._folders.input, self._policy.default_source
        if name_problem(source) is None:
            yield self._folders.input / source, source

    def _refusal(self, dropped: Dropped) -> str | None:
        if not dropped.is_regular:
            return "it is no regular file"
        if dropped.bytes > self._policy.max_bytes:
            return f"it has {dropped.bytes} bytes, more than {self._policy.max_bytes}"
        return name_problem(dropped.name)

    def _said(self, dropped: Dropped, facts: os.stat_result) -> FileMeta | None:
        """What is said about the file, and about all files of its folder; None as `_meta`. Raises FileRefused where it stays."""
        meta = self._meta(dropped)
        if meta is None:
            return None
        try:
            return self._defaults.fill_in(dropped.path, facts, meta)
        except Unsettled:
            self._stuck.wait(
                dropped.path, Obstacle.CHANGING, "the defaults of its folder have not come to rest"
            )
            return None
        except BrokenDefaults as error:
            self._stuck.tell(error.path, Obstacle.DEFAULTS, str(error))
            return None

    def _meta(self, dropped: Dropped) -> FileMeta | None:
        """What is said about the file; None where it has to wait, or went to `error/` with what is said of it."""
        path = dropped.path
        try:
            return self._metas.of(path)
        except Unsettled:
            return None
        except FileRefused as error:
            self._refuse(dropped, path, str(error))
            self._refuse(dropped, meta_path(path), str(error))
            self._remove_marker(dropped)
            return None

    def _leave_meta(self, dropped: Dropped) -> None:
        if self._metas.is_forlorn(dropped.path):
            self._refuse(dropped, dropped.path, "the file that it speaks of has not come")

    def _take(self, dropped: Dropped, facts: os.stat_result, meta: FileMeta) -> FileJob | None:
        job_id = new_id()
        job = FileJob(
            job_id=job_id,
            file_name=dropped.name,
            stored_name=stored_name(job_id, dropped.name),
            source=meta.source or dropped.source,
            claimed_at=self._clock.now(),
            bytes=facts.st_size,
            as_of=meta.as_of,
            encoding=meta.encoding,
        )
        sidecar = self._folders.sidecar(job_id)
        target = self._folders.work / job.stored_name
        put_to_work(self._folders, job, dropped.path)
        if not sidecar.exists():  # this process stood still, and another one took the job for an orphan
            write_job(self._folders, job)
        if not _is_same(target, facts):
            self._give_back(target, dropped, job_id)
            return None
        self._metas.put_away(dropped.path, job_id)
        _log.info(
            "Claimed a file.",
            job_id=str(job_id),
            file_name=job.file_name,
            source=job.source,
            bytes=job.bytes,
            as_of=job.as_of and job.as_of.isoformat(),
            encoding=job.encoding and job.encoding.value,
        )
        return job

    def _give_back(self, target: Path, dropped: Dropped, job_id: UUID) -> None:
        """What was renamed is another file, which took the name of the one that was looked at: nobody knows yet whether
        it is finished. A link, unlike a rename, never replaces what may have taken the name since."""
        self._folders.sidecar(job_id).unlink(missing_ok=True)
        try:
            os.link(target, dropped.path, follow_symlinks=False)
        except OSError:
            self._refuse(dropped, target, "another file took its name while it was claimed", job_id)
            return
        target.unlink()
        sync_folder(dropped.path.parent)
        sync_folder(target.parent)

    def _refuse(self, dropped: Dropped, path: Path, problem: str, job_id: UUID | None = None) -> None:
        """What lies at `path` is the dropped file, or was said beside it. First its reason and its job are written, then it is
        moved: whatever was refused has a reason beside it and is told of, also after a crash."""
        name = harmless(path.name if job_id is None else dropped.name)
        job_id = job_id or new_id()
        target = self._folders.error / stored_name(job_id, name)
        reason = target.with_name(f"{target.name}{REASON_SUFFIX}")
        with durable_file(reason) as written:
            written.write(f"{path.name!a} was refused: {problem}.\n".encode())
        try:
            self._refusals.note(self._refused(dropped, job_id, name, problem))
            move(path, target)
        except OSError as error:
            if not os.path.lexists(target):
                reason.unlink(missing_ok=True)
                self._refusals.forget([job_id])
            if isinstance(error, FileNotFoundError):
                return  # another watcher, or its owner, was quicker
            raise
        self._untold.append(job_id)
        self._metrics.files_refused.inc()
        _log.error(
            "ALARM: a dropped file was refused and lies in error/.",
            file_name=ascii(path.name),
            problem=problem,
            moved_to=target.name,
        )

    def _refused(self, dropped: Dropped, job_id: UUID, name: str, problem: str) -> FileJob:
        return FileJob(
            job_id=job_id,
            file_name=name,
            stored_name=stored_name(job_id, name),
            source=dropped.source,
            claimed_at=self._clock.now(),
            bytes=dropped.bytes if dropped.is_regular else 0,
            refusal=refusal(problem),
        )

    def _remove_marker(self, dropped: Dropped) -> None:
        if dropped.marker is not None:
            dropped.marker.remove()


def _is_same(path: Path, facts: os.stat_result) -> bool:
    now = path.lstat()
    return (now.st_dev, now.st_ino) == (facts.st_dev, facts.st_ino)
