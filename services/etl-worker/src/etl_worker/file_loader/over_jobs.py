"""The rows of jobs that are over, and what is left to do for them. See `over_jobs.sql`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from tillstream.db.queries import load

LATE_REJECTS_LIMIT = 20  # files in one pass


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that is over. `sha256` is that of what it loaded; None where it came to no reading."""

    job_id: UUID
    file_name: str
    status: str
    sha256: str | None

    @property
    def has_failed(self) -> bool:
        return self.status == "failed"


@dataclass(frozen=True, slots=True)
class LateRejects:
    """A settled job whose rejects file lacks some; `late_rejects` is what the file will know of once it is written."""

    job_id: UUID
    file_name: str
    claimed_at: datetime
    dialect: dict[str, Any] | None
    late_rejects: int


@dataclass(frozen=True, slots=True)
class Settled:
    """For how long a job is over and settled, and its newest open entry in quarantine is there, if that was asked for."""

    job_id: UUID
    file_name: str
    status: str
    settled_for: timedelta
    open_for: timedelta | None


class OverJobs:
    """The statements, loaded once. Stateless; raises psycopg's errors as they are."""

    def __init__(self) -> None:
        self._sql: dict[str, LiteralString] = load("etl_worker.file_loader", "over_jobs.sql")

    async def begin_tidying(self, conn: AsyncConnection) -> bool:
        """Whether this connection may tidy now, until `end_tidying` or its end; False while another one does."""
        row = await (await conn.execute(self._sql["begin_tidying"])).fetchone()
        return row == (True,)

    async def end_tidying(self, conn: AsyncConnection) -> None:
        await conn.execute(self._sql["end_tidying"])

    async def ended(self, conn: AsyncConnection, job_ids: Collection[UUID]) -> list[Ended]:
        """Those of these jobs that are over."""
        async with conn.cursor(row_factory=class_row(Ended)) as cursor:
            await cursor.execute(self._sql["ended"], {"job_ids": list(job_ids)})
            return await cursor.fetchall()

    async def late_rejects(self, conn: AsyncConnection) -> list[LateRejects]:
        """Settled jobs whose rejects file lacks some, at most LATE_REJECTS_LIMIT."""
        async with conn.cursor(row_factory=class_row(LateRejects)) as cursor:
            await cursor.execute(self._sql["late_rejects"], {"limit": LATE_REJECTS_LIMIT})
            return await cursor.fetchall()

    async def late_rejects_written(self, conn: AsyncConnection, late: LateRejects) -> None:
        """The file was written. What was refused since then counts for the next time."""
        await conn.execute(
            self._sql["late_rejects_written"], {"job_id": late.job_id, "late_rejects": late.late_rejects}
        )

    async def over(
        self, conn: AsyncConnection, job_ids: Collection[UUID], at_least: timedelta, *, with_open: bool
    ) -> list[Settled]:
        """Those of these jobs of which nothing is left to do, for at least that long."""
        async with conn.cursor(row_factory=class_row(Settled)) as cursor:
            await cursor.execute(
                self._sql["over"],
                {"job_ids": list(job_ids), "at_least": at_least, "with_open": with_open},
            )
            return await cursor.fetchall()
