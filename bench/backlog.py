"""A backlog in the topic of events, as ingest-api would have written it, and parents for it."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
from aiokafka import AIOKafkaProducer

from own_stack import scalar
from tillstream.contracts.entities import EVENTS_TOPIC, USERS_TOPIC, Entity
from tillstream.contracts.envelope import headers_for
from tillstream.contracts.ids import new_id
from tillstream.contracts.parsing import dump_json
from tillstream.contracts.topics import RECORD_PARTITIONS
from tillstream.kafka.partitions import partition_of

USERS = 10_000
PRODUCTS = 1_000
REQUEST = 500  # events that share a moment of acceptance, as those of one request do
BATCH_BYTES = 512 * 1024
TYPES = ("page_view", "page_view", "page_view", "add_to_cart", "purchase")

MOVED = "SELECT coalesce(sum(next_offset), 0) FROM shop.consumer_offsets WHERE topic = 'shop.events.v1'"
PARENTS = f"""
INSERT INTO shop.users (user_id, name, email, signup_date, version)
SELECT n, 'User ' || n, 'user' || n || '@bench.example', '2024-01-01', '\\x00'::bytea FROM generate_series(1, {USERS}) AS n
ON CONFLICT (user_id) DO NOTHING;
INSERT INTO shop.products (product_id, product_name, category, price, version)
SELECT n, 'Product ' || n, 'Bench', 9.99, '\\x00'::bytea FROM generate_series(1, {PRODUCTS}) AS n
ON CONFLICT (product_id) DO NOTHING;
ANALYZE shop.users, shop.products;
"""


def event(rng: random.Random, event_id: UUID) -> dict[str, object]:
    """One event with a time of its own in the last thirty days."""
    moment = datetime.now(UTC) - timedelta(microseconds=rng.randrange(30 * 86_400 * 10**6))
    return {
        "event_id": str(event_id),
        "user_id": rng.randint(1, USERS),
        "event_type": rng.choice(TYPES),
        "product_id": rng.randint(1, PRODUCTS),
        "event_timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}",
    }


def moved_to(connection: psycopg.Connection) -> int:
    """The sum of the worker's offsets in the topic of events."""
    return scalar(connection, MOVED)


async def fill(bootstrap: str, events: int, make_id: Callable[[], UUID] = new_id, seed: int = 1) -> None:
    """Write `events` events; returns when the broker has them all. `make_id` is `new_id` or `uuid4`."""
    rng = random.Random(seed)
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_batch_size=BATCH_BYTES, compression_type="zstd"
    )
    await producer.start()
    try:
        await producer.partitions_for(USERS_TOPIC)
        builders = {place: producer.create_batch() for place in range(RECORD_PARTITIONS)}
        accepted_at = datetime.now(UTC)
        for number in range(events):
            if number % REQUEST == 0:
                accepted_at = datetime.now(UTC)
            event_id = make_id()
            record = event(rng, event_id)
            key = str(record["user_id"]).encode()
            headers = headers_for(
                message_id=event_id,
                entity=Entity.EVENT,
                source="shop",
                accepted_at=accepted_at,
                position=number % REQUEST,
            )
            place = partition_of(key, RECORD_PARTITIONS)
            value = dump_json(record)
            if builders[place].append(timestamp=None, key=key, value=value, headers=headers) is None:
                await (await producer.send_batch(builders[place], EVENTS_TOPIC, partition=place))
                builders[place] = producer.create_batch()
                builders[place].append(timestamp=None, key=key, value=value, headers=headers)
        sent = [
            await producer.send_batch(builder, EVENTS_TOPIC, partition=place)
            for place, builder in builders.items()
            if builder.record_count()
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


MAKERS: dict[str, Callable[[], UUID]] = {"uuid7": new_id, "random": uuid4}
