"""One batch, one transaction: begin, handle, move the fence, commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from tillstream.db.failures import translated
from tillstream.db.transactions import undone_on_failure
from tillstream.errors import DatabaseUnavailable
from tillstream.kafka.fence import Move, Position
from tillstream.kafka.progress import Progress
from tillstream.kafka.records import Place
from tillstream.kafka.steps import BatchResult, Steps


@dataclass(frozen=True, slots=True)
class Committed:
    """The batch counts."""

    result: BatchResult


@dataclass(frozen=True, slots=True)
class Fenced:
    """The batch was rolled back, because these places belong to somebody else by now."""

    lost: frozenset[Place]


@dataclass(frozen=True, slots=True)
class Unknown:
    """The connection broke while PostgreSQL committed. Only the fence rows can tell what became of the batch."""

    result: BatchResult
    problem: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A batch whose commit has an unknown outcome."""

    moves: Mapping[Place, Move]
    result: BatchResult

    def was_committed(self, now: Mapping[Place, Position]) -> bool | None:
        """Decided by the fence rows, once the session that committed is gone; None when they cannot tell.

        All offsets of a batch move together, so that one place still in the batch's epoch decides for all. A place that
        has a new owner decides only while it stands before the batch's end: beyond, either of them may have moved it.
        """
        for place, move in self.moves.items():
            position = now.get(place)
            if position is not None and (position.epoch == move.epoch or position.next_offset < move.next):
                return position.next_offset >= move.next
        return None


async def run_batch(
    conn: AsyncConnection,
    steps: Steps,
    progress: Progress,
    items: Sequence[Any],
    moves: Mapping[Place, Move],
) -> Committed | Fenced | Unknown:
    """Write what the records say and move the fence, both or neither.

    Raises DatabaseUnavailable, TransactionConflict, or whatever bug the handler has; then nothing was written.
    """
    async with undone_on_failure(conn):
        with translated():
            result = await _write(conn, steps, progress, items, moves)
            if isinstance(result, Fenced):
                await conn.execute("ROLLBACK")
                return result
        return await _commit(conn, steps, result)


async def _write(
    conn: AsyncConnection,
    steps: Steps,
    progress: Progress,
    items: Sequence[Any],
    moves: Mapping[Place, Move],
) -> BatchResult | Fenced:
    await conn.execute("BEGIN")
    result = await steps.handle(conn, items)
    if result.stop:
        await progress.stop(conn, result.stop, {place: moves[place].next for place in result.stop})
    moved = await steps.advance(conn, moves)
    return result if len(moved) == len(moves) else Fenced(frozenset(moves) - moved)


async def _commit(conn: AsyncConnection, steps: Steps, result: BatchResult) -> Committed | Unknown:
    try:
        with translated():
            await steps.commit(conn)
    except DatabaseUnavailable as error:
        if not conn.closed:
            raise
        return Unknown(result, str(error))
    return Committed(result)
