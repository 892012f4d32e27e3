"""The sweep: applies parked changes whose parents came, and moves those that waited too long to quarantine.

It is the truth about waiting changes. A wake-up after a batch is only a hint: of two transactions that run at the same
moment, one that parks a change and one that stores its parent, neither sees the other's work.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, errors

from tillstream.apply.applied import Applied
from tillstream.apply.applied_columns import AppliedColumns
from tillstream.apply.engine import Engine
from tillstream.apply.file_statements import move, move_in_statements
from tillstream.apply.statements import SWEEP
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Origin
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.plain_events import PlainEvent
from tillstream.contracts.records import from_json, key_of
from tillstream.kafka.batch_size import BatchSize

# What one round looks at of each kind: with more than that waiting, a full turn takes several rounds.
WINDOW_ROWS = 5_000
WAKE_ROUNDS = 20  # one parent may be waited for by many; what is left after that, the sweep finds
_PARENTS = frozenset({Entity.USER, Entity.PRODUCT, Entity.ORDER})
_ORIGIN_COLUMNS = 13
_EXPIRE = "expire"
_NO_ID = UUID(int=0)


class Swept(NamedTuple):
    """What became of the changes that woke in a round, and whether it was a success: see `Sweeper.sweep`."""

    applied: list[Applied]
    is_success: bool


@dataclass
class _Turn:
    """Where the next round goes on; `start` is before everything."""

    statement: LiteralString
    column: str
    id_name: str
    start: Mapping[str, Any]
    at: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.start


class Sweeper:
    """Remembers how far its turn through the waiting changes is; one per process. Several processes take turns."""

    def __init__(self, engine: Engine, window: int = WINDOW_ROWS) -> None:
        self._engine = engine
        self._size = BatchSize(window)
        before = {"waits_for": "", "waits_key": 0}
        self._turns = (
            _Turn(SWEEP["look_at_parked"], "parked", "message_id", {**before, "message_id": _NO_ID}),
            _Turn(SWEEP["look_at_quarantine"], "rejected", "id", {**before, "id": 0}),
        )
        self._parts = frozenset({*(turn.column for turn in self._turns), _EXPIRE})
        self._done: set[str] = set()

    @property
    def _window(self) -> int:
        return self._size.records

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Look at less from now on where PostgreSQL ends the block for the time that it took; else the same again, for ever."""
        window = self._window
        try:
            yield
        except (errors.QueryCanceled, errors.TransactionTimeout):
            self._size.timed_out(window)
            raise

    async def sweep(self, conn: AsyncConnection) -> Swept:
        """One round, in transactions of its own: what became of the changes that woke in the next stretch of each kind.

        Its work is bounded by the window, however much waits. It is a success when, in this round or since the last success,
        each of its parts had the lock: whoever else holds it for ever must show. Raises psycopg's errors as they are; then nothing of the failed transaction was done.
        """
        applied: list[Applied] = []
        for turn in self._turns:
            with self._in_time():
                async with conn.transaction():
                    woken = await self._round(conn, turn)
            if woken is not None:
                applied += woken
                self._done.add(turn.column)
        with self._in_time():
            async with conn.transaction():
                has_looked = await self._expire(conn)
        if has_looked:
            self._done.add(_EXPIRE)
        self._size.committed()
        is_success = self._done == self._parts
        if is_success:
            self._done.clear()
        return Swept(applied, is_success)

    async def wake(
        self, conn: AsyncConnection, stored: Iterable[Applied], also: Iterable[tuple[str, int]] = ()
    ) -> Sequence[Applied]:
        """The hint: applies what waits for the parents of a batch that was just committed, and for what wakes of that.

        `also` are parents (kind and key) that were stored without messages. In transactions of its own, a bounded number of them; the sweep finds the rest.
        """
        applied: list[Applied] = []
        parents = sorted({*_new_parents(stored), *also})
        for _ in range(WAKE_ROUNDS):
            if not parents:
                break
            with self._in_time():
                async with conn.transaction():
                    woken = await self._wake_some(conn, parents)
            self._size.committed()
            applied += woken
            if len(woken) < self._window:
                parents = _new_parents(woken)
        return applied

    async def _wake_some(
        self, conn: AsyncConnection, parents: Sequence[tuple[str, int]]
    ) -> Sequence[Applied]:
        if not await alone(conn):
            return []
        kinds, keys = zip(*parents, strict=True)
        cursor = await conn.execute(
            SWEEP["parents_waited_for"], {"kinds": list(kinds), "keys": list(keys), "limit": self._window}
        )
        return await self._apply(conn, "parked", await cursor.fetchall())

    async def _round(self, conn: AsyncConnection, turn: _Turn) -> Sequence[Applied] | None:
        if not await alone(conn):
            return None
        cursor = await conn.execute(turn.statement, {**turn.at, "window": self._window})
        rows = await cursor.fetchall()
        applied = await self._apply(conn, turn.column, [row[:_ORIGIN_COLUMNS] for row in rows if row[-1]])
        is_end = len(rows) < self._window
        turn.at = turn.start if is_end else _place(rows[-1], turn.id_name)
        return applied

    async def _apply(
        self, conn: AsyncConnection, column: str, rows: Sequence[tuple[Any, ...]]
    ) -> Sequence[Applied]:
        if not rows:
            return []
        applied = await self._engine.apply(conn, [_message(row) for row in rows])
        await move_in_statements(conn, column, applied)
        return applied

    async def _expire(self, conn: AsyncConnection) -> bool:
        # Else a change that another process is waking would leave its column of the statement twice.
        if not await alone(conn):
            return False
        cursor = await conn.execute(SWEEP["expire"], {"limit": self._window})
        for job_id, count in sorted(row for row in await cursor.fetchall() if row[0] is not None):
            await move(conn, job_id, Counter(parked=-count, rejected=count))
        return True


async def alone(conn: AsyncConnection) -> bool:
    """Whether this transaction may look for waiting changes now; another one that does so keeps it from it."""
    row = await (await conn.execute(SWEEP["alone"])).fetchone()
    return row == (True,)


def _new_parents(applied: Iterable[Applied]) -> list[tuple[str, int]]:
    """The rows that others may wait for, sorted."""
    if isinstance(applied, AppliedColumns):  # nothing waits for an event
        applied = applied.one_by_one
    changes = [(message, outcome) for message, outcome, _ in applied if not isinstance(message, PlainEvent)]
    return sorted(
        {
            _parent(message)
            for message, outcome in changes
            if outcome is OutcomeKind.STORED and message.entity in _PARENTS
        }
    )


def _parent(message: Message) -> tuple[str, int]:
    assert message.content is not None, "what was stored has content"
    return message.entity.value, key_of(message.entity, message.content)


def _place(row: tuple[Any, ...], id_name: str) -> dict[str, Any]:
    waits_for, waits_key, row_id, _ = row[_ORIGIN_COLUMNS:]
    return {"waits_for": waits_for, "waits_key": waits_key, id_name: row_id}


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
        woken=True,
    )
