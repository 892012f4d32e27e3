"""Planted bugs of a worker. Each takes good ports and gives bad ones; what has no port is patched in this process alone."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import override
from unittest import mock
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from etl_worker.app import Ports
from etl_worker.settings import WorkerSettings
from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.apply.statements import USERS
from tillstream.contracts.messages import Message, Refusal, pack_version
from tillstream.contracts.plain_events import PlainEvent
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import payload_hash
from tillstream.db.connections import connect
from tillstream.kafka.fence import Fence, Move
from tillstream.kafka.ports import Consumer, Each, RebalanceListener, nothing_yet
from tillstream.kafka.records import Place, Record

type Batch = Sequence[Message | PlainEvent]
type Bug = Callable[[Ports, WorkerSettings, ExitStack], Ports]

MOVE = """
UPDATE shop.consumer_offsets SET next_offset = %(offset)s, last_record_id = NULL, last_record_at = NULL
WHERE topic = %(topic)s AND kafka_partition = %(partition)s
"""
DOES_NOT_WORK = "does not work"
SLOW_BATCH = "SELECT pg_sleep(0.4)"


def commits_offsets_first(ports: Ports, _settings: WorkerSettings, _planted: ExitStack) -> Ports:
    """The offsets move in a transaction of their own, before the batch is written."""

    async def apply(conn: AsyncConnection, batch: Batch) -> Sequence[Applied]:
        await _move(conn, _ends(batch))
        await conn.execute("COMMIT")
        await conn.execute("BEGIN")
        return await ports.apply(conn, batch)

    async def advance(_conn: AsyncConnection, moves: Mapping[Place, Move]) -> set[Place]:
        return set(moves)

    return replace(ports, apply=apply, advance=advance)


def has_no_fence(ports: Ports, _settings: WorkerSettings, planted: ExitStack) -> Ports:
    """Nobody ends a former owner's session, and whoever finishes a batch moves the offsets, whoever owns them by then."""

    async def advance(conn: AsyncConnection, moves: Mapping[Place, Move]) -> set[Place]:
        await _move(conn, {place: move.next for place, move in moves.items()})
        return set(moves)

    async def end_sessions(_fence: Fence, _conn: AsyncConnection, _sessions: Collection[object]) -> None:
        return

    planted.enter_context(mock.patch.object(Fence, "end_sessions", end_sessions))
    return replace(ports, advance=advance)


def has_no_version_guard(ports: Ports, _settings: WorkerSettings, _planted: ExitStack) -> Ports:
    """What comes later wins, whatever its version."""
    count = 0

    def as_of_now(message: Message | PlainEvent) -> Message | PlainEvent:
        nonlocal count
        if isinstance(message, PlainEvent):
            return message
        count += 1
        now = datetime.now(UTC)
        return replace(message, version=pack_version(now, now, count, message.message_id))

    async def apply(conn: AsyncConnection, batch: Batch) -> Sequence[Applied]:
        return await ports.apply(conn, [as_of_now(message) for message in batch])

    return replace(ports, apply=apply)


def quarantines_during_outages(ports: Ports, settings: WorkerSettings, _planted: ExitStack) -> Ports:
    """A batch that fails because the database does goes to quarantine, as if it were bad."""
    refusal = Refusal(Reason.REFUSED_BY_DATABASE, "The database did not take it.")

    def refused(message: Message | PlainEvent) -> Message:
        whole = message.complete() if isinstance(message, PlainEvent) else message
        digest = payload_hash(whole.payload)
        return replace(whole, content=None, refusal=refusal, content_hash=digest)

    async def apply(conn: AsyncConnection, batch: Batch) -> Sequence[Applied]:
        try:
            return await ports.apply(conn, batch)
        except psycopg.OperationalError:
            dsn = settings.database_url.get_secret_value()
            async with await connect(dsn, application_name="planted") as own, own.transaction():
                await Engine().apply(own, [refused(message) for message in batch])
                await _move(own, _ends(batch))
            raise

    return replace(ports, apply=apply)


class Wrapped:
    """A consumer that passes everything on; a bug overrides what it spoils."""

    def __init__(self, consumer: Consumer) -> None:
        self._inner = consumer

    async def start(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        await self._inner.start(topics, listener)

    async def stop(self, deadline_s: float) -> None:
        await self._inner.stop(deadline_s)

    def assigned(self) -> frozenset[Place]:
        return self._inner.assigned()

    async def fetch(
        self, *, max_records: int, max_bytes: int, wait_s: float, each: Each = nothing_yet
    ) -> Sequence[Record]:
        return await self._inner.fetch(max_records=max_records, max_bytes=max_bytes, wait_s=wait_s, each=each)

    def seek(self, place: Place, offset: int) -> None:
        self._inner.seek(place, offset)

    def pause(self, places: Collection[Place]) -> None:
        self._inner.pause(places)

    def resume(self, places: Collection[Place]) -> None:
        self._inner.resume(places)

    async def passed_over(self) -> dict[Place, tuple[int, int]]:
        return await self._inner.passed_over()

    async def log_starts(self, places: Collection[Place]) -> dict[Place, int]:
        return await self._inner.log_starts(places)

    async def log_ends(self, places: Collection[Place]) -> dict[Place, int]:
        return await self._inner.log_ends(places)

    async def ask_anew(self) -> None:
        await self._inner.ask_anew()

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        await self._inner.commit(offsets)

    async def cluster_id(self) -> str:
        return await self._inner.cluster_id()

    async def topic_ids(self, topics: Collection[str]) -> dict[str, UUID]:
        return await self._inner.topic_ids(topics)


class FromLatest(Wrapped):
    """Begins where the log ends, as a consumer does whose group has no offsets and whose reset policy is the wrong one."""

    def __init__(self, consumer: Consumer) -> None:
        super().__init__(consumer)
        self._ends: dict[Place, int] = {}

    @override
    async def log_ends(self, places: Collection[Place]) -> dict[Place, int]:
        self._ends = await super().log_ends(places)
        return self._ends

    @override
    def seek(self, place: Place, offset: int) -> None:
        super().seek(place, max(offset, self._ends.get(place, offset)))


class Forgetful(Wrapped):
    """Goes on after a rebalance behind what it had fetched before it, also behind what nobody had applied yet."""

    def __init__(self, consumer: Consumer) -> None:
        super().__init__(consumer)
        self._fetched: dict[Place, int] = {}
        self._skip_to: dict[Place, int] = {}

    @override
    async def start(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        consumer = self

        class Listener:
            async def revoked(self, places: frozenset[Place]) -> None:
                await listener.revoked(places)
                consumer.skip_fetched()

            def assigned(self, places: frozenset[Place]) -> None:
                listener.assigned(places)

        await super().start(topics, Listener())

    def skip_fetched(self) -> None:
        self._skip_to = dict(self._fetched)

    @override
    async def fetch(
        self, *, max_records: int, max_bytes: int, wait_s: float, each: Each = nothing_yet
    ) -> Sequence[Record]:
        records = await super().fetch(max_records=max_records, max_bytes=max_bytes, wait_s=wait_s, each=each)
        self._fetched |= {record.place: record.offset + 1 for record in records}
        return records

    @override
    def seek(self, place: Place, offset: int) -> None:
        super().seek(place, max(offset, self._skip_to.get(place, offset)))


def starts_from_latest(ports: Ports, _settings: WorkerSettings, _planted: ExitStack) -> Ports:
    return replace(ports, consumer=FromLatest(ports.consumer))


def forgets_on_revoke(ports: Ports, _settings: WorkerSettings, _planted: ExitStack) -> Ports:
    """Its batches take a while, so that the next one lies fetched when the group calls."""

    async def slowly(conn: AsyncConnection, batch: Batch) -> Sequence[Applied]:
        applied = await ports.apply(conn, batch)
        await conn.execute(SLOW_BATCH)
        return applied

    return replace(ports, consumer=Forgetful(ports.consumer), apply=slowly)


def drops_what_is_broken(ports: Ports, _settings: WorkerSettings, _planted: ExitStack) -> Ports:
    """What breaks its contract is passed over, as if it had never come."""

    async def apply(conn: AsyncConnection, batch: Batch) -> Sequence[Applied]:
        good = [each for each in batch if isinstance(each, PlainEvent) or each.refusal is None]
        return await ports.apply(conn, good)

    return replace(ports, apply=apply)


def upserts_unsorted(ports: Ports, _settings: WorkerSettings, planted: ExitStack) -> Ports:
    """Users are written in another order than everybody else writes them."""
    unsorted = USERS["upsert"].replace("FROM winners ORDER BY key", "FROM winners ORDER BY key DESC")
    assert unsorted != USERS["upsert"], "the statement is another one by now"
    planted.enter_context(mock.patch.dict(USERS, upsert=unsorted))
    return ports


def does_not_work(ports: Ports, _settings: WorkerSettings, _planted: ExitStack) -> Ports:
    """A mistake of whoever plants bugs: it starts, and ends with its first batch."""

    async def apply(_conn: AsyncConnection, _batch: Batch) -> Sequence[Applied]:
        raise AttributeError("no such port")

    return replace(ports, apply=apply)


BUGS: Mapping[str, Bug] = {
    DOES_NOT_WORK: does_not_work,
    "offsets before the write": commits_offsets_first,
    "no fence": has_no_fence,
    "no version guard": has_no_version_guard,
    "start from latest": starts_from_latest,
    "quarantine during an outage": quarantines_during_outages,
    "forget a batch on revoke": forgets_on_revoke,
    "unsorted upserts": upserts_unsorted,
    "broken records dropped": drops_what_is_broken,
}


def _ends(batch: Batch) -> dict[Place, int]:
    """Where each place stands behind a batch."""
    ends: dict[Place, int] = {}
    for message in batch:
        came = message.record if isinstance(message, PlainEvent) else message.origin
        assert came.topic is not None
        assert came.partition is not None
        assert came.offset is not None
        ends[Place(came.topic, came.partition)] = came.offset + 1
    return ends


async def _move(conn: AsyncConnection, offsets: Mapping[Place, int]) -> None:
    for place, offset in sorted(offsets.items()):
        await conn.execute(MOVE, {**place._asdict(), "offset": offset})
