"""Workers of a small log, reduced to what decides: a batch of records, the engine, and the fence, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection

from support.postgres import Database
from tillstream.apply.engine import Engine
from tillstream.apply.sweep import Sweeper
from tillstream.contracts.messages import Message
from tillstream.db.connections import connect
from tillstream.kafka.fence import Fence, Move, Position
from tillstream.kafka.records import Place

PLACES = (Place("interleaved", 0), Place("interleaved", 1))
CLUSTER = "only-one"


@dataclass(slots=True)
class Log:
    """What was published, by place, in order; a message may stand there several times."""

    records: dict[Place, list[Message]] = field(default_factory=lambda: {place: [] for place in PLACES})

    @property
    def messages(self) -> list[Message]:
        """Each message once."""
        found = {message.message_id: message for records in self.records.values() for message in records}
        return list(found.values())

    @property
    def ends(self) -> dict[Place, int]:
        return {place: len(records) for place, records in self.records.items()}


@dataclass(slots=True)
class Batch:
    """What a worker wants to apply, and how that moves its offsets."""

    messages: list[Message]
    moves: dict[Place, Move]


class FencedWorker:
    """Loses its connection when somebody takes its places over, and finds out when it uses it the next time."""

    def __init__(self, name: str, database: Database, log: Log) -> None:
        self._name = name
        self._dsn = database.worker_dsn
        self._log = log
        self._engine = Engine()
        self._fence = Fence()
        self._conn: AsyncConnection | None = None
        self._held: dict[Place, Position] = {}
        self._halfway: Batch | None = None

    def __repr__(self) -> str:
        return f"<FencedWorker {self._name}: {sorted(self._held)}>"

    @property
    def is_halfway(self) -> bool:
        """Whether it stands in an open transaction, which may block others."""
        return self._halfway is not None

    async def take_over(self, places: Sequence[Place]) -> None:
        """Also what was begun is given up, as after a rebalance."""
        await self.crash()
        self._conn = conn = await connect(self._dsn, application_name=self._name)
        starts = dict.fromkeys(places, 0)
        self._held = await self._fence.take_over(
            conn, places, owner=self._name, starts=starts, cluster_id=CLUSTER, topic_ids={}
        )

    def next_batch(self, size: int) -> Batch:
        """The next `size` records of each place that it believes to own."""
        messages: list[Message] = []
        moves: dict[Place, Move] = {}
        for place, position in self._held.items():
            records = self._log.records[place][position.next_offset :][:size]
            if records:
                messages += records
                end = position.next_offset + len(records)
                moves[place] = Move(position.epoch, position.next_offset, end)
        return Batch(messages, moves)

    async def begin(self, batch: Batch) -> bool:
        """Write the batch and leave it open; false where this worker has nothing to do or is nobody any more."""
        if self._conn is None or self._halfway is not None or not batch.messages:
            return False
        try:
            await self._conn.execute("BEGIN")
            await self._engine.apply(self._conn, batch.messages)
        except psycopg.OperationalError:
            await self.crash()
            return False
        self._halfway = batch
        return True

    async def finish(self) -> None:
        """Move the fence and commit, or roll back where somebody else owns a place by now."""
        batch, self._halfway = self._halfway, None
        if batch is None or self._conn is None:
            return
        try:
            moved = await self._fence.advance(self._conn, batch.moves)
            await self._conn.execute("COMMIT" if moved == batch.moves.keys() else "ROLLBACK")
        except psycopg.OperationalError:
            await self.crash()
            return
        if moved != batch.moves.keys():
            self._held.clear()
        for place, move in batch.moves.items():
            if place in self._held:
                self._held[place] = self._held[place]._replace(next_offset=move.next)

    async def sweep(self) -> None:
        if self._conn is not None and self._halfway is None:
            try:
                await Sweeper(self._engine).sweep(self._conn)
            except psycopg.OperationalError:
                await self.crash()

    async def crash(self) -> None:
        """The process ends: whatever it had not committed is undone, and it remembers nothing."""
        conn, self._conn = self._conn, None
        self._held.clear()
        self._halfway = None
        if conn is not None:
            await conn.close()
