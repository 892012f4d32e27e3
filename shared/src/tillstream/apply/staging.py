"""A batch on its way into the connection's temporary tables, by binary COPY."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, LiteralString

from psycopg import AsyncConnection

from tillstream.apply.batch import Batch, Numbered, NumberedEvent
from tillstream.apply.plain_rows import EventRows, binary_rows, rows_of
from tillstream.apply.statements import STAGING
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message
from tillstream.contracts.plain_events import PlainEvent
from tillstream.contracts.records import key_of

_INCOMING_TYPES = [
    "int4",
    "bool",
    "bool",
    "bool",
    "text",
    "uuid",
    "int8",
    "int8",
    "bytea",
    "bytea",
    "text",
    "text",
    "int2",
    "int8",
    "uuid",
    "int8",
    "timestamptz",
    "text",
    "text",
    "timestamptz",
    "text",
    "text",
    "numeric",
    "int8",
    "timestamptz",
    "text",
    "numeric",
    "bool",
    "int8",
    "int8",
    "numeric",
]
_ITEM_TYPES = ("int4", "int8", "int8", "int8", "numeric")
_EVENT_TYPES = [
    "int4",
    "bool",
    "bool",
    "bool",
    "uuid",
    "int8",
    "text",
    "int8",
    "timestamptz",
    "text",
    "timestamptz",
    "int2",
    "int8",
    "uuid",
    "int8",
]


async def stage(conn: AsyncConnection, batch: Batch, again: set[int]) -> None:
    """Fills the temporary tables. Rows are active, but for those whose number is in `again`.

    Every COPY of a batch happens here, before any shared row is touched: a client that is stopped in the middle of
    one holds no lock that others wait for.
    """
    await conn.execute(STAGING["create"])
    if changes := batch.changes:
        rows = (_change_row(ord_, ord_ not in again, message) for ord_, message in changes)
        await _copy(conn, STAGING["copy_incoming"], _INCOMING_TYPES, rows)
        items = list(_item_rows(changes))
        if items:
            await _copy(conn, STAGING["copy_incoming_items"], _ITEM_TYPES, items)
        await conn.execute(STAGING["analyze"])
    if batch.columns:
        await _copy_plain(conn, (EventRows.of_columns(first, part) for first, part in batch.columns))
    await _stage_events(conn, batch.events, again)


async def _stage_events(conn: AsyncConnection, events: Sequence[NumberedEvent], again: set[int]) -> None:
    plain = [(ord_, event) for ord_, event in events if isinstance(event, PlainEvent) and ord_ not in again]
    if plain:
        await _copy_plain(conn, rows_of(plain))
    if len(plain) < len(events):
        rows = (
            _event_row(ord_, ord_ not in again, completed(event))
            for ord_, event in events
            if not isinstance(event, PlainEvent) or ord_ in again
        )
        await _copy(conn, STAGING["copy_incoming_events"], _EVENT_TYPES, rows)


async def _copy_plain(conn: AsyncConnection, parts: Iterable[EventRows]) -> None:
    async with conn.cursor() as cursor, cursor.copy(STAGING["copy_plain_events"]) as copy:
        for piece in binary_rows(parts):
            await copy.write(piece)


def completed(event: Message | PlainEvent) -> Message:
    """The whole message, where something out of the ordinary is to be done with it."""
    return event.complete() if isinstance(event, PlainEvent) else event


async def _copy(
    conn: AsyncConnection, statement: LiteralString, types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        write: Callable[[Sequence[Any]], Any] = copy.write_row
        for row in rows:
            await write(row)


def _content(message: Message) -> dict[str, Any]:
    assert message.content is not None, "a refused message never reaches the tables"
    return message.content


def _change_row(ord_: int, is_active: bool, message: Message) -> tuple[Any, ...]:  # noqa: FBT001 - a column
    content, origin = _content(message), message.origin
    is_order = message.entity is Entity.ORDER
    get = content.get
    return (
        ord_,
        is_active,
        message.correction,
        message.woken,
        message.entity.value,
        message.message_id,
        key_of(message.entity, content),
        get("order_id") if message.entity is Entity.ORDER_ITEM else None,
        message.version,
        message.content_hash,
        message.source,
        origin.topic,
        origin.partition,
        origin.offset,
        origin.job_id,
        origin.line,
        message.accepted_at,
        get("name"),
        get("email"),
        get("signup_date"),
        get("product_name"),
        get("category"),
        get("price"),
        get("user_id"),
        get("order_date"),
        get("status"),
        get("total_amount"),
        "items" in content if is_order else None,
        get("product_id"),
        get("quantity"),
        get("unit_price"),
    )


def _item_rows(changes: Iterable[Numbered]) -> Iterable[tuple[Any, ...]]:
    for ord_, message in changes:
        if message.entity is Entity.ORDER:
            for item in _content(message).get("items", ()):
                yield ord_, item["order_item_id"], item["product_id"], item["quantity"], item["unit_price"]


def _event_row(ord_: int, is_active: bool, message: Message) -> tuple[Any, ...]:  # noqa: FBT001 - a column
    content, origin = _content(message), message.origin
    return (
        ord_,
        is_active,
        message.correction,
        message.woken,
        message.message_id,
        content["user_id"],
        content["event_type"],
        content.get("product_id"),
        content["event_timestamp"],
        message.source,
        message.accepted_at,
        origin.partition,
        origin.offset,
        origin.job_id,
        origin.line,
    )
