"""The folders through which files travel, and how a file is opened and moved in them without being led astray.

`input/` is where partners drop. A claimed file lies in `work/` as `<job id>__<name>` and keeps that name, in which nothing can
meet it, wherever it goes: `processed/`, `error/`, `invalid/`. Beside it lies `work/<job id>.json`, the job as it is sent.
Of a file that is refused unopened, `work/<job id>.refused` is its job, until the broker has it.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from tillstream.contracts.file_names import MAX_NAME_BYTES
from tillstream.contracts.files import FileJob, job_to_json
from tillstream.errors import FileRefused, Misconfigured

JOINT = "__"
SIDECAR_SUFFIX = ".json"
TEMPORARY_SUFFIX = ".tmp"
REJECTS_SUFFIX = ".rejects.csv"
REASON_SUFFIX = ".reason.txt"
REFUSED_SUFFIX = ".refused"
FOLDER_MODE = 0o750
DEFAULT_MAX_FILE_BYTES = 10 * 1024**3
# O_NONBLOCK: opening a named pipe must not wait for its other end. It changes nothing for a regular file.
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Folders:
    """The six folders under the data directory."""

    root: Path

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def processed(self) -> Path:
        return self.root / "processed"

    @property
    def error(self) -> Path:
        return self.root / "error"

    @property
    def invalid(self) -> Path:
        return self.root / "invalid"

    @property
    def output(self) -> Path:
        return self.root / "output"

    def all(self) -> tuple[Path, ...]:
        return (self.input, self.work, self.processed, self.error, self.invalid, self.output)

    def create(self) -> None:
        """Make what is missing. Raises Misconfigured where a folder cannot be had."""
        for folder in self.all():
            try:
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            except OSError as error:
                raise Misconfigured(f"The folder {folder} cannot be made: {error.strerror}.") from error

    def check(self) -> None:
        """Raises Misconfigured unless a file can be renamed from each folder into each other one.

        It is tried out: folders may have one device number and yet be mounts between which renaming fails.
        """
        try:
            handle, name = tempfile.mkstemp(prefix=".check-", suffix=".tmp", dir=self.input)
            os.close(handle)
            _walk(Path(name), (*self.all()[1:], self.input))
        except OSError as error:
            raise Misconfigured(
                f"The folders under {self.root} must be writable and on one file system: {error.strerror}."
            ) from error

    def claimed(self) -> dict[UUID, str]:
        """The stored names in `work/`, by job; jobs that were claimed first come first. Raises OSError."""
        names = sorted(path.name for path in self.work.iterdir())
        return {job_id: name for name in names if (job_id := job_id_of(name)) is not None}

    def sidecar(self, job_id: UUID) -> Path:
        """Where the job of a claimed file stands."""
        return self.work / f"{job_id}{SIDECAR_SUFFIX}"

    def refusal(self, job_id: UUID) -> Path:
        """Where the job of a refused file stands until it is sent."""
        return self.work / f"{job_id}{REFUSED_SUFFIX}"


def _walk(path: Path, folders: Iterable[Path]) -> None:
    try:
        for folder in folders:
            path = path.rename(folder / path.name)
    finally:
        path.unlink()


def stored_name(job_id: UUID, file_name: str) -> str:
    """The name of a file from its claim on."""
    return f"{job_id}{JOINT}{file_name}"


def job_id_of(name: str) -> UUID | None:
    """The job that a name in `work/` speaks of, or None where it does not look like one of ours."""
    text, joint, file_name = name.partition(JOINT)
    if not joint or not file_name:
        return None
    try:
        job_id = UUID(text)
    except ValueError:
        return None
    return job_id if str(job_id) == text else None


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading that is a regular one with a single name, and no link.

    Raises FileRefused where it is something else, OSError where it cannot be opened at all.
    """
    try:
        handle = os.open(path, _READ_FLAGS)
    except OSError as error:
        if path.is_symlink():
            raise FileRefused("not_a_regular_file: the name is a symbolic link") from error
        if error.errno == errno.ENXIO:  # a socket; not even opened
            raise FileRefused("not_a_regular_file: only regular files are read") from error
        raise
    problem = _not_regular(os.fstat(handle))
    if problem is not None:
        os.close(handle)
        raise FileRefused(f"not_a_regular_file: {problem}")
    return os.fdopen(handle, "rb")


def _not_regular(facts: os.stat_result) -> str | None:
    if not stat.S_ISREG(facts.st_mode):
        return "only regular files are read"
    if facts.st_nlink != 1:
        return f"the file has {facts.st_nlink} names, so that others may change it"
    return None


@contextmanager
def durable_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that after a crash is there whole or not at all. Replaces one of that name at the end.

    Raises OSError. Where the block fails, nothing is left behind.
    """
    temporary = path.with_name(f".{path.name[:MAX_NAME_BYTES]}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename durably. Raises FileExistsError where the target is there: a move never replaces."""
    if os.path.lexists(target):
        raise FileExistsError(f"{target} is there already")
    source.rename(target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def write_job(folders: Folders, job: FileJob) -> None:
    """The job of a claimed file, beside it and durably. Raises OSError."""
    with durable_file(folders.sidecar(job.job_id)) as written:
        written.write(job_to_json(job))


def put_to_work(folders: Folders, job: FileJob, path: Path) -> None:
    """Claim the file at `path`: first the job is written, then the file is renamed, so that whatever lies in `work/` has its
    job beside it, also after a crash. Raises OSError; then the job is gone again, unless the file is there."""
    write_job(folders, job)
    target = folders.work / job.stored_name
    try:
        move(path, target)
    except OSError:
        if not os.path.lexists(target):  # it may be there, though not durably: then it is claimed
            folders.sidecar(job.job_id).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
