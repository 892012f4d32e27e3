"""An order, which may carry its items, and an order item on its own (a row of a file)."""

from typing import Annotated, Any, NotRequired, TypedDict

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, with_config

from tillstream.contracts.reasons import Reason
from tillstream.contracts.rules import (
    MAX_ITEMS,
    Amount,
    Id,
    Moment,
    OrderStatus,
    Quantity,
    UpdateMoment,
    broken,
)


@with_config(ConfigDict(extra="forbid", strict=True))
class OrderItemRecord(TypedDict):
    order_item_id: Id
    order_id: Id
    product_id: Id
    quantity: Quantity
    unit_price: Amount
    updated_at: NotRequired[UpdateMoment]


@with_config(ConfigDict(extra="forbid", strict=True))
class InnerItemRecord(TypedDict):
    """An item inside its order. `order_id` may be said again; it is checked and then left out."""

    order_item_id: Id
    order_id: NotRequired[Id]
    product_id: Id
    quantity: Quantity
    unit_price: Amount


def _one_set(items: list[dict[str, Any]], info: ValidationInfo) -> list[dict[str, Any]]:
    """The items as one set: of this order, each id once, sorted by it, since their order means nothing."""
    seen: set[int] = set()
    order_id = info.data.get("order_id")
    for index, item in enumerate(items):
        item_id = item["order_item_id"]
        if item_id in seen:
            raise broken(
                Reason.INVALID_ITEMS, "must not repeat that of an earlier item", at=f"[{index}].order_item_id"
            )
        seen.add(item_id)
        # A wrong order_id of the order itself is refused before, and then is not in the data.
        if order_id is not None and item.pop("order_id", order_id) != order_id:
            raise broken(
                Reason.INVALID_ITEMS, "must be the id of the order around it", at=f"[{index}].order_id"
            )
    return sorted(items, key=lambda item: int(item["order_item_id"]))


Items = Annotated[
    list[InnerItemRecord],
    Field(
        max_length=MAX_ITEMS,
        description=f"Must be a list of at most {MAX_ITEMS} items of this order, each id once.",
    ),
    AfterValidator(_one_set),
]


@with_config(ConfigDict(extra="forbid", strict=True))
class OrderRecord(TypedDict):
    """Without `items` an order leaves the stored items alone; an empty list says that it has none."""

    order_id: Id
    user_id: Id
    order_date: Moment
    status: OrderStatus
    total_amount: Amount
    items: NotRequired[Items]
    updated_at: NotRequired[UpdateMoment]
