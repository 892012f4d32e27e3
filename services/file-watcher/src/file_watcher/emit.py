"""Sends the jobs of the files in `work/`, again and again until they are gone: a repetition is harmless, a loss is not."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from tillstream.clock import Clock
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.files import job_key
from tillstream.errors import BrokerUnavailable, ProducerFull
from tillstream.folders import SIDECAR_SUFFIX, Folders, job_id_of
from tillstream.kafka.ports import Producer
from tillstream.kafka.records import Outgoing
from tillstream.observe.health import Dependency
from tillstream.observe.metrics import Metrics

ORPHAN_AFTER_S = 3_600
_HEADERS = (("content-type", b"application/json"),)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EmitPolicy:
    again_s: float = 30.0
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
    ) -> None:
        self._folders = folders
        self._producer = producer
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._kafka = kafka
        self._acknowledged: frozenset[UUID] = frozenset()
        self._wake = asyncio.Event()
        self._is_connected = False

    def __repr__(self) -> str:
        return f"<Emitter of {self._folders.work}: {len(self._acknowledged)} acknowledged>"

    def wake(self) -> None:
        """There is a new file in `work/`."""
        self._wake.set()

    async def run(self) -> None:
        """Never returns. Sends everything at start and every `again_s`, and what is new when it is woken."""
        next_round_at = self._clock.monotonic()
        while True:
            is_full_round = self._clock.monotonic() >= next_round_at
            if is_full_round:
                next_round_at = self._clock.monotonic() + self._policy.again_s
            is_done = await self._try_round(is_full_round=is_full_round)
            wait_s = next_round_at - self._clock.monotonic()
            await self._sleep(wait_s if is_done else min(wait_s, self._policy.retry_s))

    async def _try_round(self, *, is_full_round: bool) -> bool:
        self._wake.clear()
        try:
            return await (self.emit_all() if is_full_round else self.emit_new())
        except OSError as error:
            _log.error("The folder of claimed files cannot be read.", problem=str(error))
            return False

    async def emit_all(self) -> bool:
        """Send the job of every file in `work/`. True when the broker has all of them. Raises OSError."""
        self._acknowledged = frozenset()
        remove_orphans(self._folders, self._clock)
        return await self.emit_new()

    async def emit_new(self) -> bool:
        """Send the jobs that this process has not had acknowledged yet. True when the broker has them. Raises OSError."""
        claimed = self._folders.claimed().keys()
        self._metrics.folder_files.labels("work").set(len(claimed))
        self._acknowledged &= claimed
        missing = [job_id for job_id in claimed if job_id not in self._acknowledged]
        is_done = await self._reach()
        for start in range(0, len(missing), self._policy.batch_jobs):
            is_done &= await self._send(missing[start : start + self._policy.batch_jobs])
        return is_done

    async def _send(self, job_ids: Iterable[UUID]) -> bool:
        jobs = {job_id: value for job_id in job_ids if (value := self._job(job_id)) is not None}
        records = [Outgoing(FILES_TOPIC, job_key(job_id), value, _HEADERS) for job_id, value in jobs.items()]
        if not records:
            return True
        try:
            await self._connect()
            results = await self._producer.publish(records, self._policy.deadline_s)
        except (BrokerUnavailable, ProducerFull) as error:
            self._kafka.waiting(f"File jobs wait in work/: {error}")
            return False
        done = [job_id for job_id, result in zip(jobs, results, strict=True) if result.acknowledged]
        self._acknowledged |= frozenset(done)
        self._metrics.file_jobs_emitted.inc(len(done))
        return self._judge([result.error for result in results if result.error is not None])

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

    def _job(self, job_id: UUID) -> bytes | None:
        try:
            return self._folders.sidecar(job_id).read_bytes()
        except FileNotFoundError:
            # The loader moves the file away first, so this is also what a job looks like at its very end.
            if job_id in self._folders.claimed():
                _log.error("ALARM: a claimed file has lost its job; drop it again.", job_id=str(job_id))
            return None

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._wake.wait()
        except TimeoutError:
            return


def remove_orphans(folders: Folders, clock: Clock) -> None:
    """Remove jobs whose file is not there: a claim that a crash cut short, or a file that was moved away. Raises OSError."""
    claimed = {str(job_id) for job_id in folders.claimed()}
    for path in folders.work.glob(f"*{SIDECAR_SUFFIX}"):
        if path.name.removesuffix(SIDECAR_SUFFIX) in claimed or job_id_of(path.name) is not None:
            continue
        try:
            age_s = clock.now().timestamp() - path.lstat().st_mtime
            if age_s > ORPHAN_AFTER_S:
                path.unlink()
        except FileNotFoundError:
            continue
