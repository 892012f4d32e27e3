"""The jobs of files that are refused unopened: beside the claimed ones in `work/`, each until the broker has it."""

import os
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from tillstream.clock import Clock
from tillstream.contracts.files import FileJob, job_to_json, read_job
from tillstream.contracts.ids import read_uuid
from tillstream.contracts.rules import MAX_TEXT_CHARS
from tillstream.folders import REFUSED_SUFFIX, Folders, durable_file

# A file is moved right after its job was written: where it is not in error/ by then, a crash came before, and it was refused anew.
UNMOVED_AFTER_S = 3_600
CODE = "refused_unopened"


def refusal(problem: str) -> str:
    """What the job says: a text as the contract wants it."""
    fit = "".join(each if each.isprintable() else "_" for each in problem)
    return f"{CODE}: {fit}"[:MAX_TEXT_CHARS]


class Refusals:
    """Everything here blocks on the disk, and raises OSError."""

    def __init__(self, folders: Folders, clock: Clock) -> None:
        self._folders = folders
        self._clock = clock

    def note(self, job: FileJob) -> None:
        """Durably; to be sent once its file lies in `error/`."""
        with durable_file(self._path(job.job_id)) as written:
            written.write(job_to_json(job))

    def forget(self, job_ids: Iterable[UUID]) -> None:
        """The broker has them, or nothing was refused. May be repeated."""
        for job_id in job_ids:
            self._path(job_id).unlink(missing_ok=True)

    def pending(self) -> list[UUID]:
        """All that wait, the first one first."""
        with os.scandir(self._folders.work) as entries:
            names = sorted(each.name for each in entries if each.name.endswith(REFUSED_SUFFIX))
        ids = (read_uuid(name.removesuffix(REFUSED_SUFFIX)) for name in names)
        return [job_id for job_id in ids if job_id is not None]

    def read(self, job_ids: Iterable[UUID]) -> dict[UUID, bytes]:
        """As they are sent. What was sent by another watcher, or whose file was not moved, is left out."""
        found = {}
        for job_id in job_ids:
            value = self._value(self._path(job_id))
            if value is not None:
                found[job_id] = value
        return found

    def _value(self, path: Path) -> bytes | None:
        now = self._clock.now()
        try:
            value, written_s = path.read_bytes(), path.lstat().st_mtime
        except FileNotFoundError:
            return None
        job = read_job(value, now)
        if isinstance(job, FileJob) and os.path.lexists(self._folders.error / job.stored_name):
            return value
        if now.timestamp() - written_s > UNMOVED_AFTER_S:
            path.unlink(missing_ok=True)
        return None

    def _path(self, job_id: UUID) -> Path:
        return self._folders.refusal(job_id)
