"""Runs queued jobs one after the other, for ever; what is away is waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog
from psycopg import AsyncConnection

from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.failures import DiskUnavailable
from etl_worker.file_loader.jobs import Job, Jobs, Statement
from etl_worker.file_loader.watch import LoadWatch
from tillstream.clock import Clock
from tillstream.db.failures import translated
from tillstream.errors import DatabaseUnavailable, OwnershipLost, Retryable
from tillstream.kafka.fence import Fence
from tillstream.kafka.link import Connect, Link
from tillstream.kafka.waiting import Backoff
from tillstream.observe.health import Dependency

Load = Callable[[AsyncConnection, Job], Awaitable[Statement]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """`settle_s`: how long the oldest queued job waits for siblings, so that parents of the same drop run before children."""

    settle_s: float = 0.5
    poll_s: float = 1.0
    tidy_s: float = 30.0
    backoff: Backoff = field(default_factory=Backoff)


class RunJobs:
    """One job at a time on one connection. What a former process left running is taken over at the start."""

    def __init__(
        self,
        connect: Connect,
        jobs: Jobs,
        desk: Desk,
        load: Load,
        clock: Clock,
        watch: LoadWatch,
        *,
        postgres: Dependency,
        disk: Dependency,
        policy: RunPolicy = RunPolicy(),
    ) -> None:
        self._link = Link(connect, Fence())
        self._jobs = jobs
        self._desk = desk
        self._load = load
        self._clock = clock
        self._watch = watch
        self._postgres = postgres
        self._disk = disk
        self._policy = policy
        self._inherited: dict[UUID, int] | None = None
        self._queued = asyncio.Event()
        self._failures = 0
        self._tidy_at = clock.monotonic()

    def __repr__(self) -> str:
        return f"<RunJobs on {self._link}>"

    async def wake(self) -> None:
        """A job was queued."""
        self._queued.set()

    async def run(self) -> None:
        """Never returns; cancel it. The chunk under way is rolled back, and the next process goes on before it.

        Raises Misconfigured where `connect` does.
        """
        try:
            while True:
                self._watch.pulse()
                try:
                    statement = await self.run_next()
                except Retryable as error:
                    await asyncio.sleep(self._failed(error))
                    continue
                if statement is None:
                    await self._rest()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection; the server rolls back what was under way. May be repeated."""
        await self._link.drop()

    async def run_next(self) -> Statement | None:
        """Tidy up if it is time, then run the next job to its end; None where there is none. Raises Retryable."""
        try:
            with translated():
                return await self._run_next(await self._link.connection())
        except DatabaseUnavailable:
            await self._link.drop()
            raise

    async def _run_next(self, conn: AsyncConnection) -> Statement | None:
        inherited = await self._look_around(conn)
        await self._tidy(conn)
        job = await self._jobs.take(conn, timedelta(seconds=self._policy.settle_s), inherited)
        self._postgres.reached()
        if job is None:
            return None
        statement = await self._load(conn, job)
        self._disk.reached()
        self._failures = 0
        return statement

    async def _look_around(self, conn: AsyncConnection) -> dict[UUID, int]:
        """Once, at the start: which leases there are, to be taken over. Later ones are left to whoever holds them.

        This includes a job that we lose: were it ours to take back, two loaders would end each other's sessions for ever.
        """
        if self._inherited is None:
            self._inherited = await self._jobs.running(conn)
        return self._inherited

    async def _tidy(self, conn: AsyncConnection) -> None:
        """Put away the files of jobs that are over: a crash may have come between the last commit and the move."""
        if self._clock.monotonic() < self._tidy_at:
            return
        for ended in await self._jobs.ended(conn, self._desk.claimed()):
            self._desk.put_away(ended.job_id, ended.file_name, failed=ended.status == "failed")
        self._watch.states(await self._jobs.states(conn))
        self._tidy_at = self._clock.monotonic() + self._policy.tidy_s

    def _failed(self, error: Retryable) -> float:
        """Say it, and how long to wait."""
        self._watch.retried(error)
        if isinstance(error, OwnershipLost):
            _log.warning("A file job belongs to another process now.", problem=str(error))
            return 0.0
        self._failures += 1
        dependency = self._disk if isinstance(error, DiskUnavailable) else self._postgres
        if dependency.problem is None:
            _log.warning("File jobs wait.", dependency=dependency.name, problem=str(error))
        dependency.waiting(str(error))
        return self._policy.backoff.wait_s(self._failures)

    async def _rest(self) -> None:
        """Until a job is queued and its siblings had their time, or a moment."""
        self._failures = 0
        try:
            async with asyncio.timeout(self._policy.poll_s):
                await self._queued.wait()
        except TimeoutError:
            return
        self._queued.clear()
        await asyncio.sleep(self._policy.settle_s)
