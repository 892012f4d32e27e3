"""What a person may decide about partitions: to resume a stopped one, and to go on in a log that the worker refused."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from tillstream.db.queries import load
from tillstream.errors import OwnershipLost
from tillstream.kafka.records import LogIdentity, Place

# As readers have it: what is older says nothing about now.
FRESH_FOR = timedelta(seconds=10)


class Standing(NamedTuple):
    """How far a partition is; `log_end` is of the last measure, `lag` None where that is older than FRESH_FOR."""

    topic: str
    kafka_partition: int
    next_offset: int
    log_end: int | None
    lag: int | None
    stopped_at: datetime | None
    stop_reason: str | None


class Resumed(NamedTuple):
    """A partition whose mark was taken off, and what had been written there."""

    place: Place
    stopped_at: datetime
    reason: str | None


class FenceRow(NamedTuple):
    """A partition's row in `consumer_offsets`; `is_alive` says whether its owner's session is there."""

    place: Place
    epoch: int
    next_offset: int
    cluster_id: str | None
    topic_id: UUID | None
    owner: str | None
    is_alive: bool

    @property
    def identity(self) -> LogIdentity:
        return LogIdentity(self.cluster_id, self.topic_id)


class Begin(NamedTuple):
    """Where a partition is to go on, and what that means, in a sentence."""

    fence: FenceRow
    offset: int
    sentence: str


class Decision(NamedTuple):
    """What a person decided: `decision` is `resume` or `accept`; offsets are those of the latter."""

    decided_at: datetime
    decided_by: str
    topic: str
    kafka_partition: int
    decision: str
    from_offset: int | None
    to_offset: int | None
    why: str | None


class Operator:
    """The statements, loaded once. Stateless; raises psycopg's errors as they are."""

    def __init__(self) -> None:
        self._sql: dict[str, LiteralString] = load("tillstream.kafka", "operator.sql")

    async def partitions(
        self, conn: AsyncConnection, topic: str | None, limit: int, *, only_stopped: bool
    ) -> list[Standing]:
        """All partitions that anybody ever took over, or those of one topic."""
        async with conn.cursor(row_factory=class_row(Standing)) as cursor:
            await cursor.execute(
                self._sql["partitions"],
                {"topic": topic, "only_stopped": only_stopped, "limit": limit, "fresh_for": FRESH_FOR},
            )
            return await cursor.fetchall()

    async def resume(
        self, conn: AsyncConnection, topic: str | None, partition: int | None, by: str
    ) -> list[Resumed]:
        """Let stopped partitions go on; the worker sees it with its next measure. None means all; `by` is who says so."""
        rows = await conn.execute(self._sql["resume"], {"topic": topic, "partition": partition, "by": by})
        return sorted(Resumed(Place(*row[:2]), *row[2:]) for row in await rows.fetchall())

    async def fences(self, conn: AsyncConnection, topic: str) -> list[FenceRow]:
        """What the worker keeps about a topic. Outside a transaction: within one, the list of sessions stands still."""
        rows = await conn.execute(self._sql["fences"], {"topic": topic})
        return [FenceRow(Place(*row[:2]), *row[2:]) for row in await rows.fetchall()]

    async def accept(
        self, conn: AsyncConnection, topic: str, begins: Sequence[Begin], now: LogIdentity, by: str
    ) -> None:
        """Have the next owner go on at these offsets, in the topic of now: all of them or none. `by` is who says so.

        Raises OwnershipLost where somebody took one over, or moved it, since its row was read.
        """
        async with conn.transaction():
            rows = await conn.execute(
                self._sql["accept"],
                {
                    "topic": topic,
                    **now._asdict(),
                    "partitions": [begin.fence.place.partition for begin in begins],
                    "epochs": [begin.fence.epoch for begin in begins],
                    "nexts": [begin.fence.next_offset for begin in begins],
                    "begins": [begin.offset for begin in begins],
                    "sentences": [begin.sentence for begin in begins],
                    "by": by,
                },
            )
            if rows.rowcount < len(begins):
                raise OwnershipLost(
                    f"A worker took partitions of {topic} over meanwhile; nothing was changed."
                )

    async def decisions(self, conn: AsyncConnection, topic: str | None, limit: int) -> list[Decision]:
        """What was decided, the newest first; of one topic or of all."""
        async with conn.cursor(row_factory=class_row(Decision)) as cursor:
            await cursor.execute(self._sql["decisions"], {"topic": topic, "limit": limit})
            return await cursor.fetchall()
