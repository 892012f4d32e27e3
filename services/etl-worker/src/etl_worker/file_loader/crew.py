"""What the runners of one process have in common: their turn at the queue, the leases they inherit, and the bell."""

import asyncio
from datetime import timedelta
from uuid import UUID

from psycopg import AsyncConnection

from etl_worker.file_loader.jobs import Job, Jobs


class Crew:
    """One per process. Runners take jobs through it, one at a time."""

    def __init__(self, jobs: Jobs, settle: timedelta) -> None:
        self._jobs = jobs
        self._settle = settle
        self._turn = asyncio.Lock()
        self._inherited: dict[UUID, int] | None = None
        self._bells: list[asyncio.Event] = []

    def bell(self) -> asyncio.Event:
        """A runner's own: set when there may be something to take."""
        bell = asyncio.Event()
        self._bells.append(bell)
        return bell

    async def ring(self) -> None:
        """A job was queued, or is over, so that others may start."""
        for bell in self._bells:
            bell.set()

    async def take(self, conn: AsyncConnection) -> Job | None:
        """The next job for a runner's connection, as `Jobs.take`. Two siblings never want the same one.

        Which leases there are to be taken over is asked once, before the first of us takes anything. Later ones are left to
        whoever holds them: a sibling; or another process, to which we lost the job: were it ours to take back, two
        loaders would end each other's sessions for ever.
        """
        async with self._turn:
            if self._inherited is None:
                self._inherited = await self._jobs.running(conn)
            return await self._jobs.take(conn, self._settle, self._inherited)
