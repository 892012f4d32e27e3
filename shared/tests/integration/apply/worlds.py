"""Small worlds of changes that fight over the same keys, and what every order of them must end in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Origin, pack_version
from tillstream.contracts.records import content_hash, to_json

START = datetime(2024, 3, 1, tzinfo=UTC)
IDS = st.integers(1, 3)
AMOUNTS = st.sampled_from([Decimal("0.00"), Decimal("9.99"), Decimal("20.00")])


def make(
    entity: Entity,
    content: dict[str, Any],
    *,
    number: int,
    at: int = 0,
    position: int = 0,
    message_id: UUID | None = None,
    **more: Any,
) -> Message:
    """A message as a door would have made it; `at` is its version's time in seconds after the start."""
    chosen = message_id or UUID(int=number)
    moment = START + timedelta(seconds=at)
    return Message(
        entity=entity,
        message_id=chosen,
        source="test",
        accepted_at=START,
        version=pack_version(moment, START, position, chosen),
        content_hash=content_hash(entity, content),
        payload=to_json(entity, content),
        origin=Origin(topic="test", partition=0, offset=number),
        content=content,
        **more,
    )


def user(user_id: int, name: str = "Ann", email: str | None = None) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "name": name,
        "email": email or f"user{user_id}@example.org",
        "signup_date": START,
    }


def product(product_id: int, name: str = "Lamp", price: Decimal = Decimal("9.99")) -> dict[str, Any]:
    return {"product_id": product_id, "product_name": name, "category": "Home", "price": price}


def item(number: int, product_id: int, quantity: int = 1) -> dict[str, Any]:
    return {
        "order_item_id": number,
        "product_id": product_id,
        "quantity": quantity,
        "unit_price": Decimal("9.99"),
    }


def order(
    order_id: int, user_id: int, status: str = "paid", items: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    content = {
        "order_id": order_id,
        "user_id": user_id,
        "order_date": START,
        "status": status,
        "total_amount": Decimal("9.99"),
    }
    return content if items is None else {**content, "items": items}


def event(user_id: int, product_id: int | None = None, kind: str = "page_view") -> dict[str, Any]:
    content = {"user_id": user_id, "event_type": kind, "event_timestamp": START}
    return content if product_id is None else {**content, "product_id": product_id}


ITEM_SETS = st.none() | st.lists(
    st.builds(item, st.integers(1, 3), IDS, st.integers(0, 2)),
    max_size=3,
    unique_by=lambda each: each["order_item_id"],
)
CONTENTS: dict[Entity, st.SearchStrategy[dict[str, Any]]] = {
    Entity.USER: st.builds(user, st.integers(1, 2), st.sampled_from(["Ann", "Bo"])),
    Entity.PRODUCT: st.builds(product, st.integers(1, 2), st.sampled_from(["Lamp", "Vase"]), AMOUNTS),
    Entity.ORDER: st.builds(order, IDS, IDS, st.sampled_from(["pending", "paid"]), ITEM_SETS),
    Entity.ORDER_ITEM: st.builds(
        lambda order_id, content: {"order_id": order_id, **content},
        IDS,
        st.builds(item, st.integers(1, 3), IDS, st.integers(0, 2)),
    ),
    Entity.EVENT: st.builds(event, IDS, st.none() | IDS, st.sampled_from(["page_view", "purchase"])),
}


@st.composite
def changes(draw: st.DrawFn, max_size: int = 14) -> list[Message]:
    """Distinct messages over few keys and few versions, so that they collide and tie."""
    size = draw(st.integers(1, max_size))
    drawn = []
    for number in range(1, size + 1):
        entity = draw(st.sampled_from(list(Entity)))
        content = draw(CONTENTS[entity])
        drawn.append(
            make(entity, content, number=number, at=draw(st.integers(0, 3)), position=draw(st.integers(0, 1)))
        )
    return drawn


@st.composite
def batches(draw: st.DrawFn, messages: Sequence[Message]) -> list[list[Message]]:
    """The messages in any order, some of them again, cut anywhere."""
    again = draw(st.lists(st.sampled_from(messages), max_size=4))
    queue = draw(st.permutations([*messages, *again]))
    cut: list[list[Message]] = []
    while queue:
        size = draw(st.integers(1, len(queue)))
        cut.append(list(queue[:size]))
        queue = queue[size:]
    return cut


@dataclass
class World:
    """The end state: rows by key, and what became of every message."""

    users: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    products: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    orders: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    order_items: dict[tuple[int, int], tuple[Any, ...]] = field(default_factory=dict)
    events: dict[UUID, tuple[Any, ...]] = field(default_factory=dict)
    outcomes: dict[UUID, str] = field(default_factory=dict)


def expected(messages: Iterable[Message]) -> World:
    """The end state by its definition, without regard to any order of arrival."""
    world = World()
    by_version = sorted(messages, key=lambda message: message.version)
    for message in by_version:
        content = message.content or {}
        if message.entity is Entity.USER:
            world.users[content["user_id"]] = (content["name"], content["email"], message.version)
            world.outcomes[message.message_id] = "accepted"
        if message.entity is Entity.PRODUCT:
            world.products[content["product_id"]] = (
                content["product_name"],
                content["price"],
                message.version,
            )
            world.outcomes[message.message_id] = "accepted"
    _add_orders(world, [m for m in by_version if m.entity is Entity.ORDER])
    _add_single_items(world, [m for m in by_version if m.entity is Entity.ORDER_ITEM])
    _add_events(world, [m for m in by_version if m.entity is Entity.EVENT])
    return world


def _add_orders(world: World, by_version: Iterable[Message]) -> None:
    for message in by_version:
        content = message.content or {}
        items = content.get("items")
        lacks = content["user_id"] not in world.users or any(
            each["product_id"] not in world.products for each in items or ()
        )
        world.outcomes[message.message_id] = "parked" if lacks else "accepted"
        if lacks:
            continue
        order_id = content["order_id"]
        set_version = message.version if items is not None else world.orders.get(order_id, (None,) * 4)[3]
        world.orders[order_id] = (content["user_id"], content["status"], message.version, set_version)
        if items is not None:
            world.order_items = {key: row for key, row in world.order_items.items() if key[0] != order_id}
            for each in items:
                world.order_items[order_id, each["order_item_id"]] = _item_row(each, message.version)


def _add_single_items(world: World, by_version: Iterable[Message]) -> None:
    for message in by_version:
        content = message.content or {}
        order_row = world.orders.get(content["order_id"])
        lacks = order_row is None or content["product_id"] not in world.products
        world.outcomes[message.message_id] = "parked" if lacks else "accepted"
        if order_row is None or lacks:
            continue
        if order_row[3] is None or message.version > order_row[3]:
            world.order_items[content["order_id"], content["order_item_id"]] = _item_row(
                content, message.version
            )


def _item_row(content: dict[str, Any], version: bytes) -> tuple[Any, ...]:
    return (content["product_id"], content["quantity"], content["unit_price"], version)


def _add_events(world: World, messages: Iterable[Message]) -> None:
    for message in messages:
        content = message.content or {}
        product_id = content.get("product_id")
        lacks = content["user_id"] not in world.users or (
            product_id is not None and product_id not in world.products
        )
        world.outcomes[message.message_id] = "parked" if lacks else "accepted"
        if not lacks:
            world.events[message.message_id] = (content["user_id"], content["event_type"], product_id)
