"""Sends the jobs of the files in `work/`, again and again until they are gone: a repetition is harmless, a loss is not."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

import structlog

from file_watcher.disk_thread import DiskThread
from file_watcher.refusals import Refusals
from tillstream.clock import Clock
from tillstream.contracts.files import FileJob
from tillstream.errors import BrokerUnavailable, ProducerFull
from tillstream.folders import REFUSED_SUFFIX, SIDECAR_SUFFIX, TEMPORARY_SUFFIX, Folders, job_id_of
from tillstream.kafka.file_jobs import job_record
from tillstream.kafka.ports import Producer
from tillstream.observe.health import Dependency
from tillstream.observe.metrics import Metrics

ORPHAN_AFTER_S = 3_600
# A listing takes one part of the time in so many, at most, however many files lie in `work/` and however slow its disk is.
LISTING_SHARE = 20
_LEFT_SUFFIXES = (SIDECAR_SUFFIX, SIDECAR_SUFFIX + TEMPORARY_SUFFIX, REFUSED_SUFFIX + TEMPORARY_SUFFIX)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EmitPolicy:
    """`again_per_s`: how many jobs a second are sent again, at most, when many files wait for the loader."""

    again_s: float = 30.0
    again_per_s: float = 100.0
    retry_s: float = 1.0
    deadline_s: float = 5.0
    batch_jobs: int = 500


class Emitter:
    """Keeps Kafka told of what is claimed. The folder is the queue; nothing but what was acknowledged is remembered."""

    def __init__(
        self,
        folders: Folders,
        producer: Producer,
        policy: EmitPolicy,
        clock: Clock,
        metrics: Metrics,
        kafka: Dependency,
        thread: DiskThread,
        claiming: asyncio.Lock,
        refusals: Refusals,
    ) -> None:
        self._folders = folders
        self._producer = producer
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._kafka = kafka
        self._thread = thread
        self._claiming = claiming
        self._refusals = refusals
        self._refused: dict[UUID, None] = {}  # in the order in which they are sent
        self._acknowledged: set[UUID] = set()
        self._waiting: dict[UUID, str] = {}  # stored names, in the order in which they are sent
        self._lost: set[UUID] = set()
        self._listing_s = 0.0
        self._wake = asyncio.Event()
        self._is_connected = False

    def __repr__(self) -> str:
        return f"<Emitter of {self._folders.work}: {len(self._acknowledged)} acknowledged, {len(self._waiting)} wait>"

    def take(self, job: FileJob) -> None:
        """There is a new file in `work/`. Called within the claim, so that no listing comes between."""
        self._waiting[job.job_id] = job.stored_name
        self._wake.set()

    def refuse(self, job_ids: Sequence[UUID]) -> None:
        """These files lie in `error/`, and their jobs are to be sent: once, and then no more."""
        if job_ids:
            self._refused.update(dict.fromkeys(job_ids))
            self._wake.set()

    async def run(self) -> None:
        """Never returns. Sends everything at start, what is new when it is woken, and everything again from time to time.

        The folder is listed every `again_s`, or less often where that takes long: another watcher's files are found there
        too. All that it holds is sent again at a pace that the reader of the topic can bear, however many files wait for it.
        """
        list_at = sent_all_at = self._clock.monotonic()
        is_first = True
        while True:
            now = self._clock.monotonic()
            is_again = is_first or now - sent_all_at >= self._again_after_s()
            is_listing = now >= list_at
            is_done = await self._try_round(is_listing=is_listing, is_again=is_again)
            if is_listing:
                list_at = now + self._list_after_s()
            if is_again:
                sent_all_at = now
            is_first = False
            await self._sleep(list_at - self._clock.monotonic(), is_done=is_done)

    def _again_after_s(self) -> float:
        files = len(self._acknowledged) + len(self._waiting)
        return max(self._list_after_s(), files / self._policy.again_per_s)

    def _list_after_s(self) -> float:
        return max(self._policy.again_s, LISTING_SHARE * self._listing_s)

    async def _try_round(self, *, is_listing: bool, is_again: bool) -> bool:
        self._wake.clear()
        try:
            if is_again:
                return await self.emit_all()
            if is_listing:
                await self.look()
            return await self.emit_new()
        except OSError as error:
            _log.error("The folder of claimed files cannot be read.", problem=str(error))
            return False

    async def emit_all(self) -> bool:
        """Send the job of every file in `work/`. True when the broker has all of them. Raises OSError."""
        self._acknowledged.clear()
        await self.look()
        return await self.emit_new()

    async def look(self) -> None:
        """List `work/`: what lies there and was not acknowledged is to be sent. Raises OSError.

        Not in the middle of a claim, which may still be taken back.
        """
        async with self._claiming:
            began = self._clock.monotonic()
            claimed = await self._thread.run(self._list)
        await self._thread.run(remove_orphans, self._folders, claimed, self._clock)
        self._listing_s = self._clock.monotonic() - began

    def _list(self) -> dict[UUID, str]:
        claimed = self._folders.claimed()
        self._metrics.folder_files.labels("work").set(len(claimed))
        self._acknowledged &= claimed.keys()
        self._lost &= claimed.keys()
        self._waiting = {job_id: name for job_id, name in claimed.items() if job_id not in self._acknowledged}
        self._refused = dict.fromkeys(self._refusals.pending())
        return claimed

    async def emit_new(self) -> bool:
        """Send the jobs that this process has not had acknowledged yet. True when the broker has them. Raises OSError."""
        if not await self._reach():
            return False
        while self._waiting:
            if not await self._send(dict(islice(self._waiting.items(), self._policy.batch_jobs))):
                return False
        while self._refused:
            if not await self._send_refused(list(islice(self._refused, self._policy.batch_jobs))):
                return False
        return True

    async def _send(self, files: Mapping[UUID, str]) -> bool:
        jobs = await self._thread.run(self._read, files)
        for gone in files.keys() - jobs.keys():
            self._waiting.pop(gone, None)
        done, is_all = await self._publish(jobs)
        for job_id in done:
            self._waiting.pop(job_id, None)
        self._acknowledged.update(done)
        return is_all

    async def _send_refused(self, job_ids: Sequence[UUID]) -> bool:
        """Once the broker has it, nothing is left to be sent again: there is no file in `work/`."""
        jobs = await self._thread.run(self._refusals.read, job_ids)
        done, is_all = await self._publish(jobs)
        await self._thread.run(self._refusals.forget, done)
        for job_id in set(job_ids) - (jobs.keys() - set(done)):
            self._refused.pop(job_id, None)
        return is_all

    async def _publish(self, jobs: Mapping[UUID, bytes]) -> tuple[list[UUID], bool]:
        """Which of them the broker has, and whether those are all."""
        if not jobs:
            return [], True
        records = [job_record(job_id, value) for job_id, value in jobs.items()]
        try:
            results = await self._producer.publish(records, self._policy.deadline_s)
        except (BrokerUnavailable, ProducerFull) as error:
            self._kafka.waiting(f"File jobs wait in work/: {error}")
            return [], False
        done = [job_id for job_id, result in zip(jobs, results, strict=True) if result.acknowledged]
        self._metrics.file_jobs_emitted.inc(len(done))
        return done, self._judge([result.error for result in results if result.error is not None])

    def _judge(self, errors: Sequence[Exception]) -> bool:
        if errors:
            self._kafka.waiting(f"{len(errors)} file jobs wait in work/: {errors[0]}")
            return False
        self._kafka.reached()
        self._metrics.succeeded("publish", self._clock)
        return True

    async def _reach(self) -> bool:
        """Connects also where nothing is to be sent yet, so that readiness tells the truth about the broker."""
        try:
            await self._connect()
        except BrokerUnavailable as error:
            self._kafka.waiting(f"Kafka cannot be reached: {error}")
            return False
        return True

    async def _connect(self) -> None:
        if not self._is_connected:
            await self._producer.start()
            self._is_connected = True

    def _read(self, files: Mapping[UUID, str]) -> dict[UUID, bytes]:
        jobs = {}
        for job_id, name in files.items():
            self._thread.step()
            value = self._job(job_id, name)
            if value:
                jobs[job_id] = value
        return jobs

    def _job(self, job_id: UUID, name: str) -> bytes | None:
        """None where there is none: the loader moves the file away first, so a job looks like this at its very end."""
        try:
            return self._folders.sidecar(job_id).read_bytes()
        except FileNotFoundError:
            if job_id not in self._lost and os.path.lexists(self._folders.work / name):
                self._lost.add(job_id)
                _log.error("ALARM: a claimed file has lost its job; drop it again.", job_id=str(job_id))
            return None

    async def _sleep(self, seconds: float, *, is_done: bool) -> None:
        """Until there is something to do; where the last round failed, for a while whatever comes."""
        if not is_done:
            await asyncio.sleep(min(max(seconds, 0), self._policy.retry_s))
            return
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._wake.wait()
        except TimeoutError:
            return


def remove_orphans(folders: Folders, claimed: Mapping[UUID, str], clock: Clock) -> None:
    """Remove what a claim left that a crash cut short: a job without its file, the beginning of one. Raises OSError."""
    names = {str(job_id) for job_id in claimed}
    with os.scandir(folders.work) as entries:
        left = [
            Path(entry.path)
            for entry in entries
            if entry.name.endswith(_LEFT_SUFFIXES)
            and entry.name.removesuffix(SIDECAR_SUFFIX) not in names
            and job_id_of(entry.name) is None
        ]
    for path in left:
        if _age_s(path, clock) > ORPHAN_AFTER_S:
            path.unlink(missing_ok=True)


def _age_s(path: Path, clock: Clock) -> float:
    try:
        return clock.now().timestamp() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0
