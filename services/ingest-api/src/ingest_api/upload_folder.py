"""Where uploads become files in `work/`: written beside under a dotfile, made durable, then renamed.

Everything here blocks on the disk and raises OSError as it is. Several processes may share the folder.
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, ClassVar
from uuid import UUID

from tillstream.contracts.files import FileJob
from tillstream.contracts.ids import new_id, read_uuid
from tillstream.errors import Rejected, Retryable
from tillstream.folders import Folders, open_regular, put_to_work, stored_name

PARTIAL_PREFIX = "."
PARTIAL_SUFFIX = ".upload"
PARTIAL_MODE = 0o640
# As little of a large file is left to be written at its end, when the client waits for the answer.
SYNC_EVERY_BYTES = 64 * 1024 * 1024
_SCRATCH_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UploadUnderWay(Retryable):
    """Another request, here or in another process, writes this very file now."""

    dependency: ClassVar[str] = "folders"


class OtherContent(Rejected):
    """The file of this job came with other bytes before. The first one counts."""


class Partial:
    """The dotfile of one job: locked while somebody writes it, so that a lock that can be had tells of a crash."""

    def __init__(self, path: Path) -> None:
        """Raises UploadUnderWay. What a crash left under this name is overwritten."""
        self.path = path
        self._handle: int | None = None
        while self._handle is None:
            handle = os.open(path, _FLAGS | os.O_CREAT, PARTIAL_MODE)
            try:
                if not _lock(handle):
                    raise UploadUnderWay
                if _is_at(path, handle):  # else it was renamed or removed before the lock was had
                    os.ftruncate(handle, 0)
                    self._handle = handle
            finally:
                if self._handle is None:
                    os.close(handle)

    def write(self, data: bytes) -> None:
        assert self._handle is not None, "closed"
        _write_all(self._handle, data)

    def sync(self) -> None:
        assert self._handle is not None, "closed"
        os.fsync(self._handle)

    def close(self, *, remove: bool) -> None:
        """Gives the lock back. May be repeated."""
        if self._handle is None:
            return
        try:
            if remove and _is_at(self.path, self._handle):
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self._handle)
            self._handle = None


class NewFile:
    """One upload on its way into `work/`. `finish` or `discard` ends it."""

    repeated = False

    def __init__(self, folders: Folders, partial: Partial) -> None:
        self._folders = folders
        self._partial = partial
        self._unsynced = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        self._partial.write(data)
        self.size += len(data)
        self._unsynced += len(data)
        if self._unsynced >= SYNC_EVERY_BYTES:
            self._partial.sync()
            self._unsynced = 0

    def finish(self, job: FileJob) -> None:
        """From here on the file is claimed."""
        self._partial.sync()
        put_to_work(self._folders, job, self._partial.path)
        self._partial.close(remove=False)

    def discard(self) -> None:
        """May be repeated, also after `finish`."""
        self._partial.close(remove=True)


class KnownFile:
    """The file of a job that came before: nothing is written, the bytes are compared as they come."""

    repeated = True

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0

    def write(self, data: bytes) -> None:
        """Raises OtherContent."""
        if self._file.read(len(data)) != data:
            raise OtherContent
        self.size += len(data)

    def finish(self, job: FileJob) -> None:
        """Raises OtherContent where the former file is longer. What the job said then stays."""
        assert job.bytes == self.size, "all of it was compared"
        if self._file.read(1):
            raise OtherContent

    def discard(self) -> None:
        self._file.close()


class ScratchFile:
    """A file without a name: the system frees its space when the last process that has it open ends, however that happens."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.size = 0

    @property
    def handle(self) -> int:
        """For a process that reads what was written; not after `discard`."""
        return self._handle

    def write(self, data: bytes) -> None:
        _write_all(self._handle, data)
        self.size += len(data)

    def discard(self) -> None:
        os.close(self._handle)


class UploadFolder:
    """The data directory as uploads use it."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def __repr__(self) -> str:
        return f"<UploadFolder {self._folders.work}>"

    def begin(self, job_id: UUID, file_name: str) -> NewFile | KnownFile:
        """Raises UploadUnderWay, and FileRefused where the job's file is there and cannot be compared."""
        partial = Partial(self._folders.work / f"{PARTIAL_PREFIX}{job_id}{PARTIAL_SUFFIX}")
        try:
            # Only under the lock: else another request might put it there between this look and ours.
            known = self._find(stored_name(job_id, file_name))
        except BaseException:
            partial.close(remove=True)
            raise
        if known is None:
            return NewFile(self._folders, partial)
        partial.close(remove=True)
        return KnownFile(known)

    def scratch(self) -> ScratchFile:
        """Has a name for a moment, that of an upload, so that the next sweep removes what a crash leaves just then."""
        path = self._folders.work / f"{PARTIAL_PREFIX}{new_id()}{PARTIAL_SUFFIX}"
        handle = os.open(path, _SCRATCH_FLAGS, PARTIAL_MODE)
        try:
            path.unlink(missing_ok=True)  # a sweep may have been quicker
        except BaseException:
            os.close(handle)
            raise
        return ScratchFile(handle)

    def sweep(self) -> int:
        """Remove what crashes left; the number of files. What is being written is locked, and stays."""
        return sum(map(_removed, self._partials()))

    def _find(self, name: str) -> BinaryIO | None:
        """A file moves in this order only, so it cannot slip past."""
        for folder in (self._folders.work, self._folders.processed, self._folders.error):
            try:
                return open_regular(folder / name)
            except FileNotFoundError:
                continue
        return None

    def _partials(self) -> Iterable[Path]:
        for path in self._folders.work.glob(f"{PARTIAL_PREFIX}*{PARTIAL_SUFFIX}"):
            if read_uuid(path.name.removeprefix(PARTIAL_PREFIX).removesuffix(PARTIAL_SUFFIX)) is not None:
                yield path


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def _removed(path: Path) -> bool:
    try:
        handle = os.open(path, _FLAGS)
    except OSError:
        return False
    try:
        is_left_over = _lock(handle) and _is_at(path, handle)
        if is_left_over:
            path.unlink()
        return is_left_over
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Whether the lock was free. The system gives it back when its holder ends, however that happens."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, handle: int) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(handle))
