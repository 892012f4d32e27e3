"""The fence of every partition: who owns it, since which epoch, and which offset comes next. See `fence.sql`.

Whoever takes a partition over raises its epoch and ends the former owner's session; whoever finishes a batch moves its
offsets in the batch's own transaction, and only where the epoch is still the one it took. So each record takes effect
once, whatever Kafka's group believes at the time.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row

from tillstream.db.queries import load
from tillstream.errors import DatabaseUnavailable
from tillstream.kafka.records import LogIdentity, Place

END_SESSION_WITHIN_MS = 5_000


class Session(NamedTuple):
    """One back end of PostgreSQL; a pid alone may come back."""

    pid: int
    began: datetime


class Position(NamedTuple):
    """The fence row of a place. `last_record_*` describe the last record applied, if any."""

    epoch: int
    next_offset: int
    cluster_id: str | None = None
    last_record_id: str | None = None
    last_record_at: datetime | None = None
    topic_id: UUID | None = None

    @property
    def identity(self) -> LogIdentity:
        return LogIdentity(self.cluster_id, self.topic_id)


class Move(NamedTuple):
    """What a batch does to one place: from `began` (its first expected offset) to `next`, in `epoch`."""

    epoch: int
    began: int
    next: int
    last_record_id: str | None = None
    last_record_at: datetime | None = None


class Fence:
    """The statements, loaded once. Stateless; raises psycopg's errors as they are."""

    def __init__(self) -> None:
        self._sql: dict[str, LiteralString] = load("tillstream.kafka", "fence.sql")

    async def session(self, conn: AsyncConnection) -> Session:
        """The back end behind a connection."""
        row = await (await conn.execute(self._sql["session"])).fetchone()
        assert row is not None, "a session sees itself"
        return Session(*row)

    async def end_sessions(self, conn: AsyncConnection, sessions: Collection[Session]) -> None:
        """End these sessions and return once they are gone. Outside a transaction: within one, their list stands still.

        Raises DatabaseUnavailable if one does not go in time.
        """
        for session in sessions:
            ended = await conn.execute(
                self._sql["end_session"], {**session._asdict(), "wait_ms": END_SESSION_WITHIN_MS}
            )
            if await ended.fetchone() not in {None, (True,)}:
                raise DatabaseUnavailable(
                    f"The former owner's session {session.pid} did not end within {END_SESSION_WITHIN_MS} ms."
                )

    async def take_over(
        self,
        conn: AsyncConnection,
        places: Collection[Place],
        *,
        owner: str,
        starts: Mapping[Place, int],
        cluster_id: str,
        topic_ids: Mapping[str, UUID],
    ) -> dict[Place, Position]:
        """Make this connection the owner of `places`, in a transaction of its own, and say where each goes on.

        The former owners' sessions are gone when it returns, with their locks and whatever they had not
        committed. A place that is seen for the first time begins at its entry in `starts`. `topic_ids` are
        those that are known. May be repeated; every call raises the epochs.
        """
        wanted = _columns(places)
        former = await conn.execute(self._sql["former_sessions"], wanted)
        await self.end_sessions(conn, [Session(*row) for row in await former.fetchall()])
        session = await self.session(conn)
        async with conn.transaction(), conn.cursor(row_factory=namedtuple_row) as cursor:
            ordered = sorted(places)
            await cursor.execute(
                self._sql["first_rows"], {**wanted, "starts": [starts[place] for place in ordered]}
            )
            await cursor.execute(self._sql["lock_rows"], wanted)
            await cursor.execute(
                self._sql["own"],
                {
                    **wanted,
                    **session._asdict(),
                    "owner": owner,
                    "cluster_id": cluster_id,
                    "topic_ids": [topic_ids.get(place.topic) for place in ordered],
                },
            )
            return {Place(row[0], row[1]): Position(*row[2:]) for row in await cursor.fetchall()}

    async def positions(self, conn: AsyncConnection, places: Collection[Place]) -> dict[Place, Position]:
        """The fence rows of these places, of those that have one."""
        rows = await conn.execute(self._sql["positions"], _columns(places))
        return {Place(row[0], row[1]): Position(*row[2:]) for row in await rows.fetchall()}

    async def advance(self, conn: AsyncConnection, moves: Mapping[Place, Move]) -> set[Place]:
        """Move the offsets of a batch, as the last statement of its transaction; the places that did move.

        Fewer than asked for: the others belong to somebody else by now, and the whole transaction must be rolled back.
        """
        ordered = sorted(moves)
        mine = [moves[place] for place in ordered]
        rows = await conn.execute(
            self._sql["advance"],
            {
                **_columns(ordered),
                "epochs": [move.epoch for move in mine],
                "began": [move.began for move in mine],
                "nexts": [move.next for move in mine],
                "last_ids": [move.last_record_id for move in mine],
                "last_ats": [move.last_record_at for move in mine],
            },
        )
        return {Place(*row) for row in await rows.fetchall()}

    async def release(self, conn: AsyncConnection, epochs: Mapping[Place, int]) -> None:
        """Give these places up, as far as they are still owned in these epochs."""
        ordered = sorted(epochs)
        await conn.execute(
            self._sql["release"], {**_columns(ordered), "epochs": [epochs[place] for place in ordered]}
        )


def _columns(places: Collection[Place]) -> dict[str, Any]:
    ordered = sorted(places)
    return {
        "topics": [place.topic for place in ordered],
        "partitions": [place.partition for place in ordered],
    }
