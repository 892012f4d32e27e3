"""Planted bugs of those who claim files, a file-watcher and an ingest-api. What has no port is patched in this process alone."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock
from uuid import UUID

from faults.roots.upload_bugs import A_JOB_PER_REQUEST, makes_a_job_per_request
from file_watcher import claim
from file_watcher.claim import Claimer
from file_watcher.emit import Emitter
from ingest_api import upload_folder
from ingest_api.upload_folder import NewFile, Partial, UploadFolder
from tillstream.clock import SystemClock
from tillstream.contracts.files import FileJob, job_to_json, read_job
from tillstream.contracts.ids import new_id
from tillstream.errors import BrokerUnavailable
from tillstream.folders import Folders, move, put_to_work, stored_name, write_job
from tillstream.kafka.file_jobs import job_record
from tillstream.kafka.ports import Producer

type Plant = Callable[[ExitStack, Producer], object]

MOVES_BEFORE_JOB = "the file before its job"
SENDS_FIRST = "the job is sent before its file is claimed"
TELLS_OF_ITS_OWN = "a watcher tells of what it claimed itself only"
ANOTHER_JOB = "what was claimed is claimed again after a restart"
IN_ITS_PLACE = "an upload is written under its name"
WRITES_ON = "an upload goes on where a crash cut it short"
PUBLISH_S = 5.0


def moves_before_job(planted: ExitStack, _producer: Producer) -> None:
    def moving(folders: Folders, job: FileJob, path: Path) -> None:
        move(path, folders.work / job.stored_name)
        write_job(folders, job)

    _patch_claims(planted, moving)


def sends_first(planted: ExitStack, producer: Producer) -> None:
    loop = asyncio.get_running_loop()

    async def send(job: FileJob) -> None:
        while True:
            try:
                await producer.publish([job_record(job.job_id, job_to_json(job))], PUBLISH_S)
            except BrokerUnavailable:
                await asyncio.sleep(0)
            else:
                return

    def telling(folders: Folders, job: FileJob, path: Path) -> None:
        asyncio.run_coroutine_threadsafe(send(job), loop).result()
        put_to_work(folders, job, path)

    _patch_claims(planted, telling)


def _patch_claims(planted: ExitStack, claiming: Callable[[Folders, FileJob, Path], None]) -> None:
    for module in (claim, upload_folder):
        planted.enter_context(mock.patch.object(module, "put_to_work", claiming))


def tells_of_its_own(planted: ExitStack, _producer: Producer) -> None:
    async def look(_emitter: Emitter) -> None:
        return

    planted.enter_context(mock.patch.object(Emitter, "look", look))


def claims_again(planted: ExitStack, _producer: Producer) -> None:
    """At its start."""

    def again(claimer: Claimer, _step: Callable[[], None]) -> None:
        folders = claimer._folders
        for job_id, name in folders.claimed().items():
            job = read_job(folders.sidecar(job_id).read_bytes(), SystemClock().now())
            assert isinstance(job, FileJob)
            other = new_id()
            other_name = stored_name(other, job.file_name)
            put_to_work(folders, replace(job, job_id=other, stored_name=other_name), folders.work / name)
            folders.sidecar(job_id).unlink()

    planted.enter_context(mock.patch.object(Claimer, "finish_claims", again))


def writes_in_place(planted: ExitStack, _producer: Producer) -> None:
    def begun(folder: UploadFolder, job_id: UUID, file_name: str) -> object:
        known = folder._find(stored_name(job_id, file_name))
        if known is not None:
            return upload_folder.KnownFile(known)
        folders = folder._folders
        return NewFile(folders, Partial(folders.work / stored_name(job_id, file_name)))

    def finished(file: NewFile, job: FileJob) -> None:
        write_job(file._folders, job)
        file._partial.close(remove=False)

    planted.enter_context(mock.patch.object(UploadFolder, "begin", begun))
    planted.enter_context(mock.patch.object(NewFile, "finish", finished))


def writes_on(planted: ExitStack, _producer: Producer) -> None:
    """Nor does a start sweep up what a crash left: either alone would be made good by the other."""

    def to_its_end(handle: int, _length: int) -> None:
        os.lseek(handle, 0, os.SEEK_END)

    planted.enter_context(mock.patch.object(os, "ftruncate", to_its_end))
    planted.enter_context(mock.patch.object(UploadFolder, "sweep", return_value=0))


_PLANTS: Mapping[str, Plant] = {
    MOVES_BEFORE_JOB: moves_before_job,
    SENDS_FIRST: sends_first,
    TELLS_OF_ITS_OWN: tells_of_its_own,
    ANOTHER_JOB: claims_again,
    A_JOB_PER_REQUEST: lambda planted, _producer: makes_a_job_per_request(planted),
    IN_ITS_PLACE: writes_in_place,
    WRITES_ON: writes_on,
}


def plant(name: str, planted: ExitStack, producer: Producer) -> None:
    """Nothing where no bug has this name."""
    bug = _PLANTS.get(name)
    if bug is not None:
        bug(planted, producer)
