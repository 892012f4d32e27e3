"""Valid records in one line. Each takes the fields that the test is about; `without` takes fields away again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from tillstream.contracts.entities import EVENTS_TOPIC, Entity
from tillstream.contracts.files import FileJob
from tillstream.contracts.rules import Rules

ACCEPTED_AT = datetime(2024, 6, 1, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
RULES = Rules(ACCEPTED_AT, UTC_ZONE)
MESSAGE_ID = UUID("0190163d-8694-7394-8a1c-1d2d3b2c5a11")
JOB_ID = UUID("0190163d-8694-7394-8a1c-1d2d3b2c5aff")

Item = dict[str, Any]


def user_item(**fields: object) -> Item:
    """A user as a JSON client sends it."""
    return {"user_id": 1, "name": "Ann", "email": "ann@example.org", "signup_date": "2024-01-05", **fields}


def product_item(**fields: object) -> Item:
    return {"product_id": 1, "product_name": "Lamp", "category": "Home", "price": "19.90", **fields}


def inner_item(**fields: object) -> Item:
    """An item inside an order."""
    return {"order_item_id": 1, "product_id": 1, "quantity": 2, "unit_price": "19.90", **fields}


def order_item(**fields: object) -> Item:
    """An order without items; pass `items=[inner_item()]`."""
    order = {"order_id": 1, "user_id": 1, "order_date": "2024-01-20T10:30:00Z", "status": "paid"}
    return {**order, "total_amount": "39.80", **fields}


def order_item_item(**fields: object) -> Item:
    """A row of the order items file."""
    return {**inner_item(), "order_id": 1, **fields}


def event_item(**fields: object) -> Item:
    event = {"event_id": "17", "user_id": 1, "event_type": "page_view", "product_id": 1}
    return {**event, "event_timestamp": "2024-01-20T10:30:00Z", **fields}


BUILD: Final[dict[Entity, Callable[..., Item]]] = {
    Entity.USER: user_item,
    Entity.PRODUCT: product_item,
    Entity.ORDER: order_item,
    Entity.ORDER_ITEM: order_item_item,
    Entity.EVENT: event_item,
}


def without(item: Item, *names: str) -> Item:
    """The item without these fields."""
    return {name: value for name, value in item.items() if name not in names}


@dataclass(frozen=True, slots=True)
class FakeRecord:
    """A consumed Kafka record, appended a second after the moment of acceptance."""

    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = EVENTS_TOPIC
    partition: int = 3
    offset: int = 41
    key: bytes | None = b"1"
    timestamp: datetime = ACCEPTED_AT + timedelta(seconds=1)
    problem: str | None = None


def file_job(**fields: Any) -> FileJob:
    """A claimed file of users."""
    facts = {"file_name": "users.csv", "stored_name": f"{JOB_ID}__users.csv", "source": "shop", "bytes": 100}
    return FileJob(**{"job_id": JOB_ID, "claimed_at": ACCEPTED_AT, **facts, **fields})
