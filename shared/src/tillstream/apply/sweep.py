"""The sweep: applies parked changes whose parents came, and moves those that waited too long to quarantine.

It is the truth about waiting changes. A wake-up after a batch is only a hint: of two transactions that run at the same
moment, one that parks a change and one that stores its parent, neither sees the other's work.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from tillstream.apply.engine import Applied, Engine
from tillstream.apply.statements import SWEEP
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Origin
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.records import from_json

DEFAULT_LIMIT = 1_000
_COLUMNS = ("stored", "unchanged", "superseded", "duplicate", "parked", "rejected")


async def sweep(conn: AsyncConnection, engine: Engine, limit: int = DEFAULT_LIMIT) -> list[Applied]:
    """One round, in transactions of its own: at most `limit` waiting changes of each kind.

    Returns what became of those that woke. Call it again at once while it returns `limit` or more. Safe to run in
    several processes at a time. Raises psycopg's errors as they are; then nothing of the round was done.
    """
    applied: list[Applied] = []
    for statement, column in (("find_woken", "parked"), ("find_woken_in_quarantine", "rejected")):
        async with conn.transaction():
            applied += await _wake(conn, engine, SWEEP[statement], column, limit)
    async with conn.transaction():
        await _expire(conn, limit)
    return applied


async def _wake(
    conn: AsyncConnection, engine: Engine, statement: LiteralString, column: str, limit: int
) -> list[Applied]:
    cursor = await conn.execute(statement, {"limit": limit})
    messages = [_message(row) for row in await cursor.fetchall()]
    if not messages:
        return []
    applied = await engine.apply(conn, messages)
    await _move_in_statements(conn, column, applied)
    return applied


async def _expire(conn: AsyncConnection, limit: int) -> None:
    cursor = await conn.execute(SWEEP["expire"], {"limit": limit})
    for job_id, count in sorted(row for row in await cursor.fetchall() if row[0] is not None):
        await _move(conn, job_id, Counter(parked=-count, rejected=count))


async def _move_in_statements(conn: AsyncConnection, column: str, applied: Iterable[Applied]) -> None:
    """Job by job, sorted, so that two sweeps cannot lock each other out."""
    moves: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for result in applied:
        job_id = result.message.origin.job_id
        if job_id is not None:
            moves[job_id][column] -= 1
            moves[job_id][_statement_column(result.outcome)] += 1
    for job_id in sorted(moves):
        await _move(conn, job_id, moves[job_id])


async def _move(conn: AsyncConnection, job_id: UUID, counts: Counter[str]) -> None:
    await conn.execute(
        SWEEP["move_in_statement"], {"job_id": job_id, **{name: counts[name] for name in _COLUMNS}}
    )


def _statement_column(outcome: OutcomeKind) -> str:
    return "rejected" if outcome is OutcomeKind.QUARANTINED else outcome.value


def _message(row: tuple[Any, ...]) -> Message:
    entity, message_id, source, accepted_at, version, content_hash, payload, content, *origin = row
    topic, partition, offset, job_id, line = origin
    kind = Entity(entity)
    return Message(
        entity=kind,
        message_id=message_id,
        source=source,
        accepted_at=accepted_at,
        version=version,
        content_hash=content_hash,
        payload=payload,
        origin=Origin(topic, partition, offset, job_id, line),
        content=from_json(kind, content),
        correction=True,
    )
