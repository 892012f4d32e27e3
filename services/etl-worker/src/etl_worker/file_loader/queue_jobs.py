"""From `shop.files.v1` into the queue: a row of `file_jobs` for every claimed file."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from psycopg import AsyncConnection

from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.jobs import Jobs
from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import DEFAULT_SOURCE
from tillstream.contracts.files import FileJob, read_job
from tillstream.contracts.ids import payload_message_id
from tillstream.contracts.messages import Refusal, pack_version
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import payload_hash
from tillstream.folders import stored_name
from tillstream.kafka.records import Record
from tillstream.kafka.steps import BatchResult

_ODD_NAME = Refusal(Reason.INVALID_RECORD, "stored_name is not made of job_id and file_name.", "stored_name")

_log = structlog.get_logger()


class QueueJobs:
    """The consumer loop's handler. Looks at each file's header, so that the queue can be run in the order of kinds."""

    def __init__(self, jobs: Jobs, desk: Desk, queued: Callable[[], Awaitable[None]]) -> None:
        self._jobs = jobs
        self._desk = desk
        self._queued = queued

    async def __call__(self, conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        """Queue the jobs of a batch, inside its transaction. A record that is no job is kept in quarantine."""
        for record in records:
            job = _read(record)
            if isinstance(job, Refusal):
                _log.error(
                    "ALARM: a record is no file job.",
                    place=str(record.place),
                    offset=record.offset,
                    problem=job.message,
                )
                await self._jobs.keep_unreadable(conn, _row(record, job))
            elif job.refusal is not None:
                await self._jobs.refuse(conn, job)
            else:
                await self._jobs.queue(conn, job, self._kind(job))
        return BatchResult(committed=self._tell)

    def _kind(self, job: FileJob) -> Entity | None:
        return self._desk.kind(job.stored_name, job.file_name) or job.kind

    async def _tell(self, _conn: AsyncConnection) -> None:
        await self._queued()


def _read(record: Record) -> FileJob | Refusal:
    if record.problem is not None:
        return Refusal(Reason.UNREADABLE_BATCH, record.problem)
    job = read_job(record.value, record.timestamp)
    if isinstance(job, Refusal):
        return job
    is_ours = job.stored_name == stored_name(job.job_id, job.file_name)
    return job if is_ours else _ODD_NAME


def _row(record: Record, refusal: Refusal) -> dict[str, object]:
    """Known by its payload: a job that cannot be read is sent again for as long as its file lies in `work/`."""
    payload = record.value or b""
    content_hash = payload_hash(payload)
    message_id = payload_message_id(record.topic, content_hash)
    return {
        "message_id": message_id,
        "content_hash": content_hash,
        "reason": refusal.reason.value,
        "field": refusal.field,
        "message": refusal.message,
        "version": pack_version(record.timestamp, record.timestamp, 0, message_id),
        "payload": payload,
        "source": DEFAULT_SOURCE,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "accepted_at": record.timestamp,
    }
