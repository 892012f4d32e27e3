"""The `<name>.meta.json` beside a dropped file: read when the file is claimed, and put away with it."""

import os
from pathlib import Path
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from tillstream.clock import Clock
from tillstream.contracts.file_meta import MAX_META_BYTES, META_SUFFIX, FileMeta, read_meta
from tillstream.contracts.files import FileJob
from tillstream.contracts.rules import Rules
from tillstream.errors import FileRefused, Retryable
from tillstream.folders import Folders, move, open_regular, stored_name

# It is small: a writer that takes longer than this over it is not writing it any more.
SETTLE_S = 1.0
# A file may take long to be written; what has waited longer for one would only be taken for that of a later one.
WAIT_S = 3_600.0


class Unsettled(Retryable):
    """It is being written right now; the file waits for it."""

    dependency: ClassVar[str] = "folders"


def meta_path(path: Path) -> Path:
    """Where the meta file of a dropped file stands, if it has one."""
    return path.with_name(path.name + META_SUFFIX)


def read_settled(path: Path, clock: Clock) -> bytes:
    """A small file's bytes, at most one more than it may have; links are not followed. Raises Unsettled while it may still be
    written to, FileRefused where it is no plain file, FileNotFoundError, OSError."""
    with open_regular(path) as file:
        if 0 <= _age_s(file.fileno(), clock) < SETTLE_S:
            raise Unsettled
        return file.read(MAX_META_BYTES + 1)


class Metas:
    """Reads them, and moves them once their file is claimed."""

    def __init__(self, folders: Folders, clock: Clock, shop_timezone: ZoneInfo) -> None:
        self._folders = folders
        self._clock = clock
        self._shop_timezone = shop_timezone

    def of(self, path: Path) -> FileMeta:
        """What is said about a dropped file. Raises FileRefused where that is wrong, Unsettled where it is too early."""
        try:
            value = read_settled(meta_path(path), self._clock)
        except FileNotFoundError:
            return FileMeta()
        meta = read_meta(value, Rules(self._clock.now(), self._shop_timezone))
        if isinstance(meta, str):
            raise FileRefused(f"its {META_SUFFIX} is wrong: {meta}")
        self._check_source(path, meta)
        return meta

    def put_away(self, path: Path, job_id: UUID) -> None:
        """What it said stands in the job by now."""
        beside = meta_path(path)
        try:
            move(beside, self._folders.processed / stored_name(job_id, beside.name))
        except FileNotFoundError:
            return

    def finish(self, path: Path, source: str, job: FileJob, claimed: os.stat_result) -> None:
        """As `put_away`, of a file that lay under `path`, in the folder of `source`, and was claimed at the time of `claimed`: a
        crash may have come in between. What is newer, or says something else than the job, is another file's."""
        beside = meta_path(path)
        try:
            if os.path.lexists(path) or beside.lstat().st_ctime_ns >= claimed.st_ctime_ns:
                return
            meta = read_meta(read_settled(beside, self._clock), Rules(job.claimed_at, self._shop_timezone))
        except (FileNotFoundError, FileRefused, Unsettled):
            return
        if isinstance(meta, FileMeta) and _is_of(meta, source, job):
            self.put_away(path, job.job_id)

    def is_forlorn(self, path: Path) -> bool:
        """Whether a meta file has waited for its file for too long."""
        if os.path.lexists(path.with_name(path.name.removesuffix(META_SUFFIX))):
            return False
        try:
            return _age_s(path, self._clock) > WAIT_S
        except FileNotFoundError:
            return False

    def _check_source(self, path: Path, meta: FileMeta) -> None:
        """A folder of a source is that source's; whoever may write there need not be allowed to speak for others."""
        if path.parent != self._folders.input and meta.source not in {None, path.parent.name}:
            raise FileRefused(f"its {META_SUFFIX} is wrong: source differs from the folder's name")


def _is_of(meta: FileMeta, source: str, job: FileJob) -> bool:
    """Whether the job was made of this. Defaults fill in only what it leaves open."""
    return (
        (meta.source or source) == job.source
        and meta.as_of in {None, job.as_of}
        and meta.encoding in {None, job.encoding}
    )


def _age_s(file: int | Path, clock: Clock) -> float:
    """Below zero where the clock of the file system runs ahead."""
    return clock.now().timestamp() - os.stat(file).st_mtime  # noqa: PTH116 - of an open file, too
