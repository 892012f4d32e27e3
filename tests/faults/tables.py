"""What the tables hold, read past every role and every wire."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection

from faults.translation import filed_id, placeless_id
from tillstream.contracts.ids import place_message_id, row_message_id
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import payload_hash
from tillstream.contracts.topics import TOPICS
from tillstream.kafka.records import Place

KAFKA_ANSWERS_WITHIN_MS = 5_000
PARTITIONS = sum(topic.partitions for topic in TOPICS)
# What moves back is written down by the database itself: a look now and then would miss it.
WATCH_OFFSETS = """
CREATE SCHEMA IF NOT EXISTS chaos;
CREATE TABLE IF NOT EXISTS chaos.moved_back (topic text, kafka_partition int, was bigint, became bigint);
CREATE OR REPLACE FUNCTION chaos.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO chaos.moved_back VALUES (OLD.topic, OLD.kafka_partition, OLD.next_offset, NEW.next_offset);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER moved_back BEFORE UPDATE ON shop.consumer_offsets
FOR EACH ROW WHEN (NEW.next_offset < OLD.next_offset) EXECUTE FUNCTION chaos.note();
"""
KEPT = """
SELECT message_id, 'table' FROM shop.changes WHERE outcome IN ('stored', 'unchanged', 'superseded')
UNION ALL SELECT event_id, 'table' FROM shop.events
UNION ALL SELECT message_id, 'parked' FROM shop.parked
"""
QUARANTINED = """
SELECT message_id, reason, payload, topic, kafka_partition, kafka_offset
FROM shop.quarantine WHERE resolved_at IS NULL
"""
JOBS = """
SELECT job_id, file_name, sha256, status, rows, loaded, unchanged, superseded, duplicate, parked, rejected
FROM shop.file_jobs ORDER BY created_at
"""
UNSETTLED_JOBS = "SELECT count(*) FROM shop.file_jobs WHERE status IN ('queued', 'running')"
type Event = tuple[int, str, int | None, datetime]


class Job(NamedTuple):
    """What became of a file, as its statement says."""

    job_id: UUID
    file_name: str
    sha256: str | None
    status: str
    rows: int
    loaded: int
    unchanged: int
    superseded: int
    duplicate: int
    parked: int
    rejected: int


@dataclass(slots=True)
class Tables:
    """Where each id lies, once per place in which it was found, and the rows. Ids are those of the ledger."""

    kept: list[tuple[UUID, str]] = field(default_factory=list)
    refused: dict[UUID, tuple[str, str]] = field(default_factory=dict)  # reason, hash of the bytes
    jobs: list[Job] = field(default_factory=list)
    events: dict[UUID, Event] = field(default_factory=dict)
    users: dict[int, tuple[str, str]] = field(default_factory=dict)
    products: dict[int, tuple[str, str, Decimal]] = field(default_factory=dict)
    orders: dict[int, tuple[int, str, Decimal]] = field(default_factory=dict)
    items: dict[tuple[int, int], tuple[int, int, Decimal]] = field(default_factory=dict)
    moved_back: list[tuple[str, int, int, int]] = field(default_factory=list)
    offsets: dict[Place, int] = field(default_factory=dict)


async def watch_offsets(dsn: str) -> None:
    """From now on PostgreSQL notes every offset that moves back."""
    async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute(WATCH_OFFSETS)


async def read_tables(dsn: str) -> Tables:
    async with await AsyncConnection.connect(dsn) as conn:  # one transaction, one snapshot
        await conn.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        tables = Tables()
        tables.jobs = [Job(*row) for row in await _rows(conn, JOBS)]
        await _read_kept(conn, tables)
        for event_id, *event in await _rows(
            conn, "SELECT event_id, user_id, event_type, product_id, event_timestamp FROM shop.events"
        ):
            tables.events[event_id] = (event[0], event[1], event[2], event[3])
        for user_id, *user in await _rows(conn, "SELECT user_id, name, email FROM shop.users"):
            tables.users[user_id] = (user[0], user[1])
        for product_id, *product in await _rows(
            conn, "SELECT product_id, product_name, category, price FROM shop.products"
        ):
            tables.products[product_id] = (product[0], product[1], product[2])
        for order_id, *order in await _rows(
            conn, "SELECT order_id, user_id, status, total_amount FROM shop.orders"
        ):
            tables.orders[order_id] = (order[0], order[1], order[2])
        for order_id, number, *item in await _rows(
            conn, "SELECT order_id, order_item_id, product_id, quantity, unit_price FROM shop.order_items"
        ):
            tables.items[order_id, number] = (item[0], item[1], item[2])
        tables.moved_back = await _rows(conn, "SELECT * FROM chaos.moved_back")
        tables.offsets = await _offsets(conn)
        return tables


async def _read_kept(conn: AsyncConnection, tables: Tables) -> None:
    """Where ids lie, in the ledger's ids."""
    own = filed_ids(tables.jobs)
    tables.kept = [(own.get(each, each), place) for each, place in await _rows(conn, KEPT)]
    without_id: set[UUID] = set()
    for message_id, reason, payload, *where in await _rows(conn, QUARANTINED):
        named = own.get(message_id, message_id)
        if where[0] is not None and message_id == place_message_id(*where):
            named = placeless_id(where[0], payload)
            if named in without_id:  # its writer did not know that the first attempt came through
                continue
            without_id.add(named)
        tables.kept.append((named, "conflict" if reason == Reason.ID_CONFLICT else "quarantine"))
        tables.refused[named] = reason, payload_hash(payload).hex()


def filed_ids(jobs: Sequence[Job]) -> dict[UUID, UUID]:
    """The ledger's id of every row of every job."""
    return {
        row_message_id(job.job_id, line): filed_id(job.file_name, line)
        for job in jobs
        for line in range(1, job.rows + 2)
    }


async def count_unsettled_jobs(dsn: str) -> int:
    async with await AsyncConnection.connect(dsn) as conn:
        [(count,)] = await _rows(conn, UNSETTLED_JOBS)
        return int(count)


async def read_offsets(dsn: str) -> dict[Place, int]:
    """Where the fence stands. Raises psycopg.OperationalError where the database is away."""
    async with await AsyncConnection.connect(dsn) as conn:
        return await _offsets(conn)


async def count_parked(dsn: str) -> int:
    async with await AsyncConnection.connect(dsn) as conn:
        [(count,)] = await _rows(conn, "SELECT count(*) FROM shop.parked")
        return int(count)


async def log_ends(bootstrap: str) -> dict[Place, int]:
    """Where the logs of our topics end. Raises aiokafka's errors where the broker is away."""
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in TOPICS),
        bootstrap_servers=bootstrap,
        request_timeout_ms=KAFKA_ANSWERS_WITHIN_MS,
    )
    try:
        await consumer.start()
        ends = await consumer.end_offsets(consumer.assignment())
    finally:
        await consumer.stop()
    if len(ends) != PARTITIONS:
        raise KafkaError(f"The broker knows {len(ends)} of our partitions, not {PARTITIONS}.")
    return {Place(*place): end for place, end in ends.items()}


async def _offsets(conn: AsyncConnection) -> dict[Place, int]:
    rows = await _rows(conn, "SELECT topic, kafka_partition, next_offset FROM shop.consumer_offsets")
    return {Place(topic, partition): offset for topic, partition, offset in rows}


async def _rows(conn: AsyncConnection, statement: str) -> list[tuple[Any, ...]]:
    return await (await conn.execute(statement.encode())).fetchall()
