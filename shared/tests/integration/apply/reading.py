"""Reads the tables back into a `World`, and drives the engine as a worker does."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection

from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.apply.sweep import Sweeper
from tillstream.contracts.messages import Message
from tillstream.db.failures import translate
from tillstream.errors import TransactionConflict

from .worlds import World

TRIES = 20


async def run_batch(conn: AsyncConnection, engine: Engine, batch: Sequence[Message]) -> Sequence[Applied]:
    """One transaction; a deadlock is tried again, as the worker does."""
    for _ in range(TRIES):
        try:
            async with conn.transaction():
                return await engine.apply(conn, batch)
        except TransactionConflict:
            continue
        except psycopg.Error as error:
            if not isinstance(translate(error), TransactionConflict):
                raise
    raise AssertionError(f"the batch still conflicts after {TRIES} tries")


async def sweep_until_quiet(conn: AsyncConnection, engine: Engine) -> None:
    """Sweeps until a round wakes nothing that settles."""
    for _ in range(TRIES):
        before = await rows(
            conn, "SELECT message_id, waits_for, waits_key FROM shop.parked ORDER BY message_id"
        )
        await Sweeper(engine).sweep(conn)
        after = await rows(
            conn, "SELECT message_id, waits_for, waits_key FROM shop.parked ORDER BY message_id"
        )
        if before == after:
            return
    raise AssertionError("the sweep never comes to rest")


async def rows(conn: AsyncConnection, statement: Any) -> list[tuple[Any, ...]]:
    cursor = await conn.execute(statement)
    return await cursor.fetchall()


async def read_world(conn: AsyncConnection) -> World:
    """Everything but the times at which it was stored; accepted outcomes are told apart by the tables already."""
    world = World()
    for user_id, *row in await rows(conn, "SELECT user_id, name, email, version FROM shop.users"):
        world.users[user_id] = tuple(row)
    for product_id, *row in await rows(
        conn, "SELECT product_id, product_name, price, version FROM shop.products"
    ):
        world.products[product_id] = tuple(row)
    for order_id, *row in await rows(
        conn, "SELECT order_id, user_id, status, version, items_version FROM shop.orders"
    ):
        world.orders[order_id] = tuple(row)
    for order_id, item_id, *row in await rows(
        conn,
        "SELECT order_id, order_item_id, product_id, quantity, unit_price, version FROM shop.order_items",
    ):
        world.order_items[order_id, item_id] = tuple(row)
    for event_id, *row in await rows(
        conn, "SELECT event_id, user_id, event_type, product_id FROM shop.events"
    ):
        world.events[event_id] = tuple(row)
    world.outcomes = dict(await rows(conn, _OUTCOMES))
    return world


_OUTCOMES = """
SELECT message_id, CASE WHEN outcome IN ('stored', 'unchanged', 'superseded') THEN 'accepted' ELSE outcome END
FROM shop.changes
UNION ALL
SELECT event_id, 'accepted' FROM shop.events
UNION ALL
SELECT message_id, 'parked' FROM shop.parked WHERE entity = 'event'
UNION ALL
SELECT message_id, 'quarantined' FROM shop.quarantine WHERE entity = 'event' AND resolved_at IS NULL
"""
