"""Writes the rejects file of a job from quarantine, page by page; at its end, and once more after rows had waited in vain."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from psycopg import AsyncConnection

from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.dialects import Dialect
from etl_worker.file_loader.jobs import Job, Jobs
from tillstream.csv.rejects import render
from tillstream.folders import stored_name


@dataclass(frozen=True, slots=True)
class RejectsOf:
    """Whose rejects, and how its rows are written. The file is marked with the time of the claim."""

    job_id: UUID
    file_name: str
    claimed_at: datetime
    form: Dialect

    @classmethod
    def job(cls, job: Job, dialect: Dialect | None) -> Self:
        return cls(job.job_id, job.file_name, job.claimed_at, dialect or Dialect())

    @property
    def stored_name(self) -> str:
        return stored_name(self.job_id, self.file_name)


async def write_rejects(
    conn: AsyncConnection,
    jobs: Jobs,
    desk: Desk,
    of: RejectsOf,
    *,
    pulse: Callable[[], None],
    only_open: bool = False,
) -> int:
    """The rows that the file has now; where there are none, it is left as it is. Whole or not at all; may be repeated.

    `pulse` is called page by page: millions of rows take minutes. Raises DiskUnavailable, and psycopg's errors as they are.
    """
    page = await jobs.rejects(conn, of.job_id, (0, 0), only_open=only_open)
    if not page:
        return 0
    rows = header_pieces = 0
    with desk.rejects_file(of.stored_name, of.claimed_at) as out:
        while page:
            pieces = render(
                of.form.columns, of.form.separator, (reject for _, reject in page), of.form.encoding
            )
            out.writelines(list(pieces)[header_pieces:])
            header_pieces = 1  # every page is rendered with a header of its own
            rows += len(page)
            pulse()
            last_id, last = page[-1]
            page = await jobs.rejects(conn, of.job_id, (last.line, last_id), only_open=only_open)
    return rows
