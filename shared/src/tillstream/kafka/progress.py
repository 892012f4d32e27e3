"""`partition_progress`: how far each partition is, for readers without Kafka, and which partitions are stopped."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import LiteralString, NamedTuple, cast

from psycopg import AsyncConnection

from tillstream.db.queries import load
from tillstream.kafka.records import Place


class Measure(NamedTuple):
    """One partition at one moment. `last_stored_at`: append time of the last record applied since the last measure."""

    epoch: int
    next_offset: int
    log_end: int
    last_stored_at: datetime | None

    @property
    def lag(self) -> int:
        return max(0, self.log_end - self.next_offset)


class Written(NamedTuple):
    """What became of a measure. `behind_s`: seconds since all that was in the log was applied, by the clock of the database; None
    where nobody has seen that yet."""

    is_stopped: bool
    behind_s: float | None


class Progress:
    """The statements, loaded once. Stateless; raises psycopg's errors as they are."""

    def __init__(self) -> None:
        self._sql: dict[str, LiteralString] = load("tillstream.kafka", "progress.sql")

    async def moment(self, conn: AsyncConnection) -> datetime:
        """The time of the database."""
        row = await (await conn.execute(self._sql["moment"])).fetchone()
        assert row is not None, "it always has a time"
        return cast("datetime", row[0])

    async def write(
        self, conn: AsyncConnection, measures: Mapping[Place, Measure], asked_at: datetime
    ) -> dict[Place, Written]:
        """Write what was measured of places, and what it says of those of them that are still owned in the same epoch.

        `asked_at` is the `moment` before the ends of the logs were asked for.
        """
        ordered = sorted(measures)
        taken = [measures[place] for place in ordered]
        rows = await conn.execute(
            self._sql["measured"],
            {
                "topics": [place.topic for place in ordered],
                "partitions": [place.partition for place in ordered],
                "epochs": [measure.epoch for measure in taken],
                "nexts": [measure.next_offset for measure in taken],
                "ends": [measure.log_end for measure in taken],
                "stored": [measure.last_stored_at for measure in taken],
                "asked_at": asked_at,
            },
        )
        return {
            Place(topic, partition): Written(stopped, None if behind is None else max(0.0, float(behind)))
            for topic, partition, stopped, behind in await rows.fetchall()
        }

    async def stopped(self, conn: AsyncConnection, places: Collection[Place]) -> set[Place]:
        """Which of these are stopped."""
        rows = await conn.execute(
            self._sql["stopped"],
            {
                "topics": [place.topic for place in places],
                "partitions": [place.partition for place in places],
            },
        )
        return {Place(*row) for row in await rows.fetchall()}

    async def stop(
        self, conn: AsyncConnection, reasons: Mapping[Place, str], nexts: Mapping[Place, int]
    ) -> None:
        """Stop these places when the caller's transaction commits, each at its offset in `nexts`."""
        ordered = sorted(reasons)
        await conn.execute(
            self._sql["stop"],
            {
                "topics": [place.topic for place in ordered],
                "partitions": [place.partition for place in ordered],
                "nexts": [nexts[place] for place in ordered],
                "reasons": [reasons[place] for place in ordered],
            },
        )
