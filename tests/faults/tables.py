"""What the tables hold, read past every role and every wire."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection

from tillstream.contracts.entities import ENTITY_OF_TOPIC
from tillstream.contracts.topics import TOPICS
from tillstream.kafka.records import Place

KAFKA_ANSWERS_WITHIN_MS = 5_000
PARTITIONS = sum(topic.partitions for topic in TOPICS if topic.name in ENTITY_OF_TOPIC)
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
UNION ALL SELECT message_id, CASE reason WHEN 'id_conflict' THEN 'conflict' ELSE 'quarantine' END
    FROM shop.quarantine WHERE resolved_at IS NULL
"""
type Event = tuple[int, str, int | None, datetime]


@dataclass(slots=True)
class Tables:
    """Where each id lies, once per place in which it was found, and the rows."""

    kept: list[tuple[UUID, str]] = field(default_factory=list)
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
        tables.kept = await _rows(conn, KEPT)
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
        *ENTITY_OF_TOPIC, bootstrap_servers=bootstrap, request_timeout_ms=KAFKA_ANSWERS_WITHIN_MS
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
