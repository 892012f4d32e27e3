"""The rejects file of a job, made anew from quarantine: what is still to be corrected."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from query_api.database import Reader, Row
from query_api.failures import NotThere
from tillstream.csv.encoding import Encoding
from tillstream.csv.rejects import Reject, render

# A row is bounded at 64 KiB, so a page is at most 12.5 MiB.
ROWS_PER_PAGE = 200
COMMA = ","


@dataclass(frozen=True, slots=True)
class RejectsFile:
    """`pieces` reads on page by page while it is written out, so that memory does not grow with the file."""

    name: str
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class _Form:
    columns: Sequence[str]
    separator: str
    encoding: Encoding


async def open_rejects(reader: Reader, job_id: UUID) -> RejectsFile:
    """Raises NotThere. A job without open rejects gives a file with a header only."""
    async with reader.session() as session:
        row = await session.row("job_form", {"job_id": job_id})
        if row is None:
            raise NotThere(f"There is no file job {job_id}.")
        first_page = await session.rows("rejects_page", _after(job_id, None))
    form = _Form(
        tuple(row["columns"] or ()), row["separator"] or COMMA, Encoding(row["encoding"] or Encoding.UTF_8)
    )
    name = f"{job_id}__{row['file_name']}.rejects.csv"
    return RejectsFile(name, _pieces(reader, job_id, form, first_page))


async def _pieces(reader: Reader, job_id: UUID, form: _Form, page: list[Row]) -> AsyncIterator[bytes]:
    is_first = True
    while True:
        pieces = list(render(form.columns, form.separator, map(_reject, page), form.encoding))
        yield b"".join(pieces if is_first else pieces[1:])
        if len(page) < ROWS_PER_PAGE:
            return
        is_first = False
        async with reader.session() as session:
            page = await session.rows("rejects_page", _after(job_id, page[-1]))


def _after(job_id: UUID, last: Row | None) -> dict[str, object]:
    return {
        "job_id": job_id,
        "after_line": last["line"] if last else 0,
        "after_id": last["id"] if last else 0,
        "limit": ROWS_PER_PAGE,
    }


def _reject(row: Row) -> Reject:
    return Reject(
        line=row["line"],
        reason=row["reason"],
        message=row["message"],
        message_id=row["message_id"],
        version=row["version"],
        raw=row["payload"],
    )
