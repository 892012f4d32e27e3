"""The files of jobs: where they lie, what they look like, and where they go when it is over."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import structlog

from etl_worker.file_loader.claimed_file import BLOCK_BYTES, ClaimedFile
from etl_worker.file_loader.failures import disk_translated
from tillstream.contracts.entities import Entity
from tillstream.csv.dropped import header_of_dropped, is_kept_text
from tillstream.csv.encoding import Found
from tillstream.csv.header import Header
from tillstream.csv.packed import DEFAULT_BOUNDS, Bounds, plain_name
from tillstream.errors import FileRefused
from tillstream.folders import REJECTS_SUFFIX, Folders, durable_file, move, stored_name

EDITED_SUFFIX = ".edited-{}.csv"

_log = structlog.get_logger()


class Desk:
    """Everything that the loader does with the data directory. Blocks on the disk; raises DiskUnavailable."""

    def __init__(self, folders: Folders, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._folders = folders
        self._bounds = bounds

    def open(self, name: str) -> ClaimedFile:
        """Open a claimed file by its stored name. Raises FileRefused."""
        return ClaimedFile.open(self._folders.work / name, self._bounds)

    def header(
        self, file: ClaimedFile, file_name: str, find: Callable[[], Found] | None = None
    ) -> Header | None:
        """As `header_of_dropped`, of what a packed file holds; an archive is refused whatever else its name says."""
        if is_kept_text(file_name):
            return None
        text = file.text
        with disk_translated():
            return header_of_dropped(text, plain_name(file_name), find)

    def kind(self, name: str, file_name: str) -> Entity | None:
        """The kind of a claimed file, for the order of the queue; None where it has none or cannot be told now."""
        try:
            with self.open(name) as file:
                header = self.header(file, file_name)
        except FileRefused:
            return None
        return header.entity if header is not None else None

    @contextmanager
    def rejects_file(self, name: str, mark: datetime) -> Iterator[BinaryIO]:
        """The rejects file of a job, to be written whole; at the end it is there, or nothing is. May be repeated.

        `mark` becomes the time of its last write, so that it shows whether somebody wrote to it since. A file that does
        not have it is somebody's work, and is kept under another name.
        """
        path = self._folders.invalid / f"{name}{REJECTS_SUFFIX}"
        nanoseconds = round(mark.timestamp() * 1_000_000) * 1_000
        with disk_translated(), durable_file(path) as file:
            yield file
            file.flush()
            os.utime(file.fileno(), ns=(nanoseconds, nanoseconds))
            _keep_edited(path, nanoseconds, self._folders.invalid / name)

    def sha256(self, name: str) -> str | None:
        """Of a claimed file as it is now, in hexadecimal; None where it is gone, or is none that may be read."""
        try:
            with self.open(name) as claimed, disk_translated():
                digest = hashlib.sha256()
                while block := claimed.file.read(BLOCK_BYTES):
                    digest.update(block)
        except FileRefused:
            return None
        return digest.hexdigest()

    def put_away(self, job_id: UUID, file_name: str, *, failed: bool) -> None:
        """Move the file of a job that is over to its last place, and remove what was noted of its claim. May be repeated."""
        name = stored_name(job_id, file_name)
        source = self._folders.work / name
        target = (self._folders.error if failed else self._folders.processed) / name
        with disk_translated():
            try:
                if os.path.lexists(source):
                    move(source, target)
                else:
                    _log.debug("The file was put away before.", file=name)
            except FileNotFoundError:
                if os.path.lexists(source):
                    raise  # the folder where it belongs is away
                _log.debug("The file was put away by somebody else.", file=name)
            except FileExistsError:
                _log.error("ALARM: a file cannot be put away: its place is taken.", file=name)
                return
            self._folders.sidecar(job_id).unlink(missing_ok=True)

    def claimed(self) -> list[UUID]:
        """The jobs whose files lie in `work/`."""
        with disk_translated():
            return list(self._folders.claimed())


def _keep_edited(path: Path, nanoseconds: int, base: Path) -> None:
    """What lies at `path` and was not written by us goes to the first free name. Raises OSError."""
    try:
        if path.lstat().st_mtime_ns == nanoseconds:
            return
    except FileNotFoundError:
        return
    free = next(
        target
        for number in count(1)
        if not os.path.lexists(target := base.with_name(base.name + EDITED_SUFFIX.format(number)))
    )
    move(path, free)
    _log.warning(
        "A rejects file that was edited in its place is kept under another name.",
        file=path.name,
        kept_as=free.name,
    )
