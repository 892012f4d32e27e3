"""Rows of `replay_requests`: the wishes that the worker meets, and the trail that they leave."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import class_row

from tillstream.clock import Clock
from tillstream.contracts.rules import MAX_ID
from tillstream.db.queries import load

LOOK_EVERY_S = 0.2


class Request(NamedTuple):
    """A wish that was written down."""

    id: int
    entry_id: int


class Answer(NamedTuple):
    """What became of a wish; `refused_as` is the entry of the new payload, where that was refused too."""

    id: int
    entry_id: int
    outcome: str
    reason: str | None
    refused_as: int | None


class Trace(NamedTuple):
    """A wish in the trail; without `applied_at` it is not answered yet."""

    id: int
    quarantine_id: int
    kind: str
    requested_by: str
    requested_at: datetime
    applied_at: datetime | None
    outcome: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class TrailFilters:
    """Which wishes; None means all."""

    entry: int | None = None
    requested_by: str | None = None
    since: datetime | None = None
    only_open: bool = False
    before: int = MAX_ID


class Requests:
    """The statements, loaded once. Stateless; raises psycopg's errors as they are."""

    def __init__(self) -> None:
        self._sql: dict[str, LiteralString] = load("tillstream.cli.quarantine", "requests.sql")

    async def take_turns(self, conn: AsyncConnection) -> None:
        """Wait until nobody else writes wishes; to be called first in the transaction that does."""
        await conn.execute(self._sql["take_turns"])

    async def write(
        self, conn: AsyncConnection, wishes: Sequence[tuple[int, bytes | None]], requested_by: str
    ) -> list[Request]:
        """Write a wish per (entry, payload), and return those written: not where an entry is settled or wished for by now.

        Without a payload the entry's own is applied. Counts once the caller's transaction commits.
        """
        rows = await conn.execute(
            self._sql["request"],
            {
                "ids": [entry_id for entry_id, _ in wishes],
                "payloads": [payload for _, payload in wishes],
                "requested_by": requested_by,
            },
        )
        return [Request(*row) for row in await rows.fetchall()]

    async def answers(
        self, conn: AsyncConnection, requests: Sequence[Request], clock: Clock, deadline: float
    ) -> list[Answer]:
        """The answers, once all are there or the clock has reached `deadline`."""
        found: list[Answer] = []
        waiting = {request.id for request in requests}
        while True:
            rows = await conn.execute(self._sql["answers"], {"ids": sorted(waiting)})
            new = [Answer(*row) for row in await rows.fetchall()]
            found += new
            waiting -= {answer.id for answer in new}
            left = deadline - clock.monotonic()
            if not waiting or left <= 0:
                return sorted(found)
            await asyncio.sleep(min(LOOK_EVERY_S, left))

    async def trail(self, conn: AsyncConnection, filters: TrailFilters, limit: int) -> list[Trace]:
        """Newest first."""
        wanted: dict[str, Any] = {**asdict(filters), "limit": limit}
        async with conn.cursor(row_factory=class_row(Trace)) as cursor:
            await cursor.execute(self._sql["trail"], wanted)
            return await cursor.fetchall()
