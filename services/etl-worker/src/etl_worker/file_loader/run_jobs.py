"""Runs queued jobs one after the other, for ever; what is away is waited for. Several runners share a queue."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from psycopg import AsyncConnection

from etl_worker.file_loader.crew import Crew
from etl_worker.file_loader.failures import Outages
from etl_worker.file_loader.jobs import Job, Statement
from etl_worker.file_loader.watch import LoadWatch
from tillstream.db.failures import translated
from tillstream.errors import DatabaseUnavailable, OwnershipLost, Retryable
from tillstream.kafka.fence import Fence
from tillstream.kafka.link import Connect, Link
from tillstream.kafka.waiting import Backoff
from tillstream.observe.health import Voice

Load = Callable[[AsyncConnection, Job], Awaitable[Statement]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """`settle_s`: how long the oldest queued job waits for siblings, so that parents of the same drop run before children."""

    settle_s: float = 0.5
    poll_s: float = 1.0
    backoff: Backoff = field(default_factory=Backoff)


class RunJobs:
    """One job at a time on one connection. What a former process left running is taken over by the crew at the start."""

    def __init__(
        self,
        connect: Connect,
        crew: Crew,
        load: Load,
        watch: LoadWatch,
        *,
        postgres: Voice,
        disk: Voice,
        policy: RunPolicy = RunPolicy(),
    ) -> None:
        self._link = Link(connect, Fence())
        self._crew = crew
        self._load = load
        self._watch = watch
        self._outages = Outages("File jobs wait.", postgres, disk, policy.backoff)
        self._policy = policy
        self._bell = crew.bell()

    def __repr__(self) -> str:
        return f"<RunJobs on {self._link}>"

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
        """Run the next job to its end; None where there is none to start. Raises Retryable."""
        try:
            with translated():
                return await self._run_next(await self._link.connection())
        except DatabaseUnavailable:
            await self._link.drop()
            raise

    async def _run_next(self, conn: AsyncConnection) -> Statement | None:
        job = await self._crew.take(conn)
        self._outages.postgres_answers()
        if job is None:
            self._outages.disk_answers()  # what this runner waited with is somebody else's by now
            return None
        statement = await self._load(conn, job)
        self._outages.disk_answers()
        self._outages.succeeded()
        await self._crew.ring()
        return statement

    def _failed(self, error: Retryable) -> float:
        """Say it, and how long to wait."""
        self._watch.retried(error)
        if isinstance(error, OwnershipLost):
            _log.warning("A file job belongs to another process now.", problem=str(error))
            return 0.0
        return self._outages.failed(error)

    async def _rest(self) -> None:
        """Until something is queued or over and its siblings had their time, or a moment."""
        self._outages.succeeded()
        try:
            async with asyncio.timeout(self._policy.poll_s):
                await self._bell.wait()
        except TimeoutError:
            return
        self._bell.clear()
        await asyncio.sleep(self._policy.settle_s)
