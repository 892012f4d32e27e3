"""File jobs and their statements."""

from typing import Any
from uuid import UUID

from query_api.cursors import cut_page, jobs_key
from query_api.database import Reader, Row
from query_api.failures import NotThere


async def list_jobs(
    reader: Reader,
    *,
    file_name: str | None,
    source: str | None,
    status: str | None,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """Newest first; `next_cursor` is null on the last page. Raises BadParameter for a forged cursor."""
    _, after_created_at, after_id = jobs_key(cursor) if cursor else (None, None, None)
    async with reader.session() as session:
        rows = await session.rows(
            "jobs_page",
            {
                "file_name": file_name,
                "source": source,
                "status": status,
                "after_created_at": after_created_at,
                "after_id": after_id,
                "limit": limit + 1,
            },
        )
    shown, next_cursor = cut_page(rows, limit, lambda last: ("jobs", last["created_at"], last["job_id"]))
    return {"jobs": shown, "next_cursor": next_cursor}


async def find_job(reader: Reader, job_id: UUID) -> Row:
    """Raises NotThere."""
    async with reader.session() as session:
        row = await session.row("job", {"job_id": job_id})
    if row is None:
        raise NotThere(f"There is no file job {job_id}.")
    return row
