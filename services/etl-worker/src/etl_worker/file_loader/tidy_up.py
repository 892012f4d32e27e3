"""What is done for jobs that are over, beside the runners: files put away, rejects files completed, old files removed."""

import asyncio
from dataclasses import dataclass, field

import structlog
from psycopg import AsyncConnection

from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.dialects import Dialect
from etl_worker.file_loader.failures import DiskUnavailable, Outages
from etl_worker.file_loader.jobs import Jobs
from etl_worker.file_loader.over_jobs import LateRejects, OverJobs
from etl_worker.file_loader.rejects_files import RejectsOf, write_rejects
from etl_worker.file_loader.retention import Retention
from etl_worker.file_loader.watch import LoadWatch
from tillstream.db.failures import translated
from tillstream.errors import DatabaseUnavailable, Retryable
from tillstream.folders import stored_name
from tillstream.kafka.fence import Fence
from tillstream.kafka.link import Connect, Link
from tillstream.kafka.waiting import Backoff
from tillstream.observe.health import Voice

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TidyPolicy:
    """`every_s`: between two passes."""

    every_s: float = 30.0
    backoff: Backoff = field(default_factory=Backoff)


class TidyUp:
    """A loop on a connection of its own. Every step may be repeated, so that a crash loses none."""

    def __init__(
        self,
        connect: Connect,
        jobs: Jobs,
        over: OverJobs,
        desk: Desk,
        retention: Retention,
        watch: LoadWatch,
        *,
        postgres: Voice,
        disk: Voice,
        policy: TidyPolicy = TidyPolicy(),
    ) -> None:
        self._link = Link(connect, Fence())
        self._jobs = jobs
        self._over = over
        self._desk = desk
        self._retention = retention
        self._watch = watch
        self._outages = Outages("Tidying up waits.", postgres, disk, policy.backoff)
        self._policy = policy

    def __repr__(self) -> str:
        return f"<TidyUp on {self._link}>"

    async def run(self) -> None:
        """Never returns; cancel it. Raises Misconfigured where `connect` does."""
        try:
            while True:
                self._watch.pulse()
                try:
                    await self.once()
                except Retryable as error:
                    self._watch.retried(error)
                    await asyncio.sleep(self._outages.failed(error))
                else:
                    await asyncio.sleep(self._policy.every_s)
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection. May be repeated."""
        await self._link.drop()

    async def once(self) -> None:
        """One pass. Raises Retryable; what it had done by then is done."""
        try:
            with translated():
                conn = await self._link.connection()
                self._watch.states(await self._jobs.states(conn))  # first: also where the disk fails
                await self._put_away(conn)
                self._outages.postgres_answers()
                if await self._over.begin_tidying(conn):
                    await self._complete_rejects(conn)
                    await self._retention.remove(conn)
                    await self._over.end_tidying(conn)
        except (DatabaseUnavailable, DiskUnavailable):
            await self._link.drop()  # the turn at tidying goes with it
            raise
        self._outages.disk_answers()
        self._outages.succeeded()

    async def _put_away(self, conn: AsyncConnection) -> None:
        """The files of jobs that are over: a crash may have come between the last commit and the move.

        Or an upload came under a key whose first file retention has removed since. With other bytes it was loaded by nobody.
        """
        for ended in await self._over.ended(conn, self._desk.claimed()):
            name = stored_name(ended.job_id, ended.file_name)
            sha256 = None if ended.has_failed else await asyncio.to_thread(self._desk.sha256, name)
            is_another = None not in {sha256, ended.sha256} and sha256 != ended.sha256
            if is_another:
                _log.error(
                    "ALARM: a file came under a job that is over, and is not what it loaded.", file=name
                )
            self._desk.put_away(ended.job_id, ended.file_name, failed=ended.has_failed or is_another)
            self._watch.pulse()

    async def _complete_rejects(self, conn: AsyncConnection) -> None:
        for late in await self._over.late_rejects(conn):
            await self._complete(conn, late)

    async def _complete(self, conn: AsyncConnection, late: LateRejects) -> None:
        """First the file, then the mark: whoever dies in between writes it again. What was corrected is left out by now."""
        form = Dialect.from_stored(late.dialect) or Dialect()
        rows = await write_rejects(
            conn,
            self._jobs,
            self._desk,
            RejectsOf(late.job_id, late.file_name, late.claimed_at, form),
            only_open=True,
            pulse=self._watch.pulse,
        )
        await self._over.late_rejects_written(conn, late)
        if rows:
            self._watch.completed_rejects()
            _log.info(
                "A rejects file was written anew: rows of it had waited in vain.",
                job_id=str(late.job_id),
                file_name=late.file_name,
                rows=rows,
            )
