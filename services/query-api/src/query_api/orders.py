"""Orders with their items, one by its id or all of them page by page."""

from typing import Any

import msgspec

from query_api.cursors import cut_page, orders_key
from query_api.database import Reader, Row
from query_api.failures import NotThere


async def list_orders(
    reader: Reader, *, user_id: int | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Newest first; `next_cursor` is null on the last page. Raises BadParameter for a forged cursor."""
    _, after_date, after_id = orders_key(cursor) if cursor else (None, None, None)
    async with reader.session() as session:
        rows = await session.rows(
            "orders_page",
            # One more than asked for tells whether another page follows.
            {"user_id": user_id, "after_date": after_date, "after_id": after_id, "limit": limit + 1},
        )
    shown, next_cursor = cut_page(rows, limit, lambda last: ("orders", last["order_date"], last["order_id"]))
    return {"orders": [_answer(row) for row in shown], "next_cursor": next_cursor}


async def find_order(reader: Reader, order_id: int) -> dict[str, Any]:
    """Raises NotThere."""
    async with reader.session() as session:
        row = await session.row("order", {"order_id": order_id})
    if row is None:
        raise NotThere(f"There is no order {order_id}.")
    return _answer(row)


def _answer(row: Row) -> dict[str, Any]:
    """The items are JSON already, with exact amounts, and go out as they are."""
    return {**row, "items": msgspec.Raw(msgspec.json.format(row["items"], indent=-1))}
