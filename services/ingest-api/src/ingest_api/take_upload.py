"""The use case of the upload: a body becomes a claimed file with its job, or leaves nothing behind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from starlette.types import Receive

from ingest_api.disk import DiskThreads, disk_told
from ingest_api.ingest_batch import Publish
from ingest_api.places import Places
from ingest_api.policy import UploadPolicy
from ingest_api.upload_folder import KnownFile, NewFile, OtherContent, UploadFolder, UploadUnderWay
from tillstream.clock import Clock
from tillstream.contracts.encodings import Encoding
from tillstream.contracts.files import FileJob, job_to_json
from tillstream.contracts.ids import new_id, upload_job_id
from tillstream.errors import BrokerUnavailable
from tillstream.folders import stored_name
from tillstream.http.problems import Problem
from tillstream.kafka.file_jobs import job_record
from tillstream.observe.metrics import Metrics

# The server has given requests their time by then, and cancelled the rest.
CLOSE_LIMIT_S = 1.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Upload:
    """What is known of an upload before its body is read."""

    file_name: str
    source: str
    as_of: datetime | None
    encoding: Encoding | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that is durably claimed. `repeated`: by an earlier request under the same key."""

    job_id: UUID
    file_name: str
    source: str
    bytes: int
    repeated: bool


class TakeUpload:
    """Bounded in how many run at once and in what each of them holds. Disks are waited for on threads of their own.

    The same source, name and Idempotency-Key are the same job, whichever process answers, for as long as its file is
    kept; without a key every request is a job of its own.
    """

    def __init__(
        self, folder: UploadFolder, publish: Publish, clock: Clock, metrics: Metrics, policy: UploadPolicy
    ) -> None:
        self._folder = folder
        self._publish = publish
        self._clock = clock
        self._metrics = metrics
        self._policy = policy
        self._places = Places(
            policy.max_uploads, "{taken} files are being sent at once, and no more are taken."
        )
        self._swept_at = float("-inf")
        metrics.ingest_uploads_in_flight.set_function(lambda: self._places.taken)
        self._disk = DiskThreads(policy.max_uploads, "upload")

    def __repr__(self) -> str:
        return f"<TakeUpload into {self._folder}: {self._places.taken} in flight>"

    async def open(self) -> None:
        """What former processes left is swept up; a folder that is not there stops nothing."""
        self._disk.open()
        await self._sweep()

    async def close(self) -> None:
        """May be repeated. Uploads that were cut short remove what they wrote; one that waits for a dead disk is left to it."""
        if not await self._places.all_free(CLOSE_LIMIT_S):
            _log.warning("A file that is being sent waits for its disk.", files=self._places.taken)
        self._disk.close()

    async def __call__(self, upload: Upload, receive: Receive) -> Taken:
        """Raises Problem: 409 while the same file is being sent, 422 for other bytes under the key, 503, 507."""
        try:
            with self._places.one(), disk_told():
                return await self._take(upload, receive)
        except OtherContent:
            self._metrics.ingest_key_conflicts.inc()
            raise Problem(
                422,
                "This Idempotency-Key came with another content of this file; take a new key for a new content.",
            ) from None
        except UploadUnderWay:
            raise Problem(
                409,
                "The same file is being sent under this Idempotency-Key right now.",
                headers={"Retry-After": "1"},
            ) from None

    async def _take(self, upload: Upload, receive: Receive) -> Taken:
        await self._sweep()
        job_id = _job_id(upload)
        async with self._begun(job_id, upload.file_name) as file:
            await self._disk.fill(file, receive, self._policy.piece_bytes)
            if not file.size:
                raise Problem(422, "The body is empty.")
            job = self._job(job_id, upload, file.size)
            await self._disk.run(lambda: file.finish(job))
        if not file.repeated:
            await self._tell(job)
        return Taken(job_id, upload.file_name, upload.source, file.size, file.repeated)

    @asynccontextmanager
    async def _begun(self, job_id: UUID, file_name: str) -> AsyncIterator[NewFile | KnownFile]:
        """Whatever happens within, also that the request is given up, nothing stays but a finished file."""
        file = await self._disk.run(
            lambda: self._folder.begin(job_id, file_name), undo=lambda begun: begun.discard()
        )
        try:
            yield file
        finally:
            await self._disk.run(file.discard)

    def _job(self, job_id: UUID, upload: Upload, size: int) -> FileJob:
        return FileJob(
            job_id=job_id,
            file_name=upload.file_name,
            stored_name=stored_name(job_id, upload.file_name),
            source=upload.source,
            claimed_at=self._clock.now(),
            bytes=size,
            as_of=upload.as_of,
            encoding=upload.encoding,
        )

    async def _tell(self, job: FileJob) -> None:
        """At once, so that nobody waits for file-watcher's next round. That one keeps the promise where this fails."""
        self._metrics.ingest_uploaded_files.inc()
        self._metrics.ingest_uploaded_bytes.inc(job.bytes)
        _log.info(
            "Took in a file.",
            job_id=str(job.job_id),
            file_name=job.file_name,
            source=job.source,
            bytes=job.bytes,
        )
        record = job_record(job.job_id, job_to_json(job))
        problem: Exception | None
        try:
            problem = (await self._publish([record]))[0].error
        except BrokerUnavailable as error:
            problem = error
        if problem is not None:
            _log.warning("A file job is left to file-watcher.", job_id=str(job.job_id), problem=str(problem))

    async def _sweep(self) -> None:
        now = self._clock.monotonic()
        if now - self._swept_at < self._policy.sweep_s:
            return
        self._swept_at = now
        try:
            removed = await self._disk.run(self._folder.sweep)
        except OSError as error:
            _log.warning("The folder of claimed files cannot be swept.", problem=str(error))
            return
        if removed:
            _log.info("Removed the beginnings of files whose upload a crash cut short.", files=removed)


def _job_id(upload: Upload) -> UUID:
    if upload.idempotency_key is None:
        return new_id()
    return upload_job_id(upload.source, upload.idempotency_key, upload.file_name)
