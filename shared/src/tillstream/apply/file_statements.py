"""The statement of a file after its load: a row that waited, or was refused, moves to the column where it ends.

This happens in the transaction that settles the row, so that the sides of a statement are equal at every moment.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from uuid import UUID

from psycopg import AsyncConnection

from tillstream.apply.applied import Applied
from tillstream.apply.staging import completed
from tillstream.apply.statements import SWEEP
from tillstream.contracts.outcomes import OutcomeKind

COLUMNS = ("stored", "unchanged", "superseded", "duplicate", "parked", "rejected")


async def move_in_statements(conn: AsyncConnection, column: str, applied: Iterable[Applied]) -> None:
    """Rows of files that were counted in `column` and came to rest, or to another one; messages of no file are passed over.

    Job by job, sorted, so that two transactions cannot lock each other out.
    """
    moves: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for result in applied:
        job_id = completed(result.message).origin.job_id
        if job_id is not None:
            moves[job_id][column] -= 1
            moves[job_id][column_of(result.outcome)] += 1
    for job_id in sorted(moves):
        await move(conn, job_id, moves[job_id])


async def move(conn: AsyncConnection, job_id: UUID, counts: Counter[str]) -> None:
    """Adds `counts`, whose sum is 0, to the columns of one statement."""
    await conn.execute(
        SWEEP["move_in_statement"], {"job_id": job_id, **{name: counts[name] for name in COLUMNS}}
    )


def column_of(outcome: OutcomeKind) -> str:
    """Where a statement counts a row with this outcome."""
    return "rejected" if outcome is OutcomeKind.QUARANTINED else outcome.value
