"""The end that every order of the acknowledged items must have, worked out from the ledger alone."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from faults.ledger import Account, Fate, Item
from tillstream.contracts.entities import Entity

type Row = Mapping[str, Any]


@dataclass(slots=True)
class Model:
    """Rows by key, as clients wrote them; `events` are those that count."""

    users: dict[int, Row] = field(default_factory=dict)
    products: dict[int, Row] = field(default_factory=dict)
    orders: dict[int, Row] = field(default_factory=dict)
    items: dict[tuple[int, int], Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)


def model_of(account: Account, stored: AbstractSet[UUID]) -> Model:
    """`stored` are ids that lie in the tables: they settle what the ledger cannot know, namely which of two rivals came
    first, and whether a request counts whose client gave up."""
    counting = [item for item in account.acknowledged if item.fate is Fate.TABLE]
    unsure = [item for item in account.sent if item.fate is Fate.RIVAL]
    unsure += [item for item in account.unacknowledged if item.fate is Fate.TABLE]
    counting += [item for item in unsure if item.message_id in stored]
    return _applied(counting)


def _applied(counting: Iterable[Item]) -> Model:
    model = Model()
    changes: list[Item] = []
    for item in counting:
        if item.entity is Entity.EVENT:
            model.events.append(item.content)
        else:
            changes.append(item)
    for item in sorted(changes, key=lambda item: str(item.content["updated_at"])):
        content = item.content
        match item.entity:
            case Entity.USER:
                model.users[content["user_id"]] = content
            case Entity.PRODUCT:
                model.products[content["product_id"]] = content
            case Entity.ORDER_ITEM:  # from a file; such an order has no set of items
                model.items[content["order_id"], content["order_item_id"]] = content
            case _:
                model.orders[content["order_id"]] = content
                _replace_items(model, content)
    return model


def _replace_items(model: Model, order: Row) -> None:
    """The newest set counts whole; an order without a set leaves the last one alone."""
    if "items" not in order:
        return
    order_id = order["order_id"]
    for key in [key for key in model.items if key[0] == order_id]:
        del model.items[key]
    model.items |= {(order_id, item["order_item_id"]): item for item in order["items"]}


def event_row(event: Row) -> tuple[int, str, int | None, datetime]:
    """An event as its table has it."""
    moment = datetime.fromisoformat(event["event_timestamp"])
    return event["user_id"], event["event_type"], event.get("product_id"), moment


def user_row(user: Row) -> tuple[str, str]:
    return user["name"], user["email"]


def product_row(product: Row) -> tuple[str, str, Decimal]:
    return product["product_name"], product["category"], Decimal(product["price"])


def order_row(order: Row) -> tuple[int, str, Decimal]:
    return order["user_id"], order["status"], Decimal(order["total_amount"])


def item_row(item: Row) -> tuple[int, int, Decimal]:
    return item["product_id"], item["quantity"], Decimal(item["unit_price"])
