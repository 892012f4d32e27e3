"""What waits for a parent that has not come, and which parents are missing."""

from typing import Any

from query_api.cursors import cut_page, parked_key
from query_api.database import Reader, Row
from query_api.freshness import RECORD_TOPICS, freshness_of

MAX_PARENTS = 100


async def list_parked(
    reader: Reader,
    *,
    waits_for: str | None,
    parent_id: int | None,
    source: str | None,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """By parent, then by message id; `missing` covers all that waits under the same filters, the parent that most wait for first.

    Raises BadParameter for a forged cursor.
    """
    _, after_entity, after_key, after_id = parked_key(cursor) if cursor else (None, None, None, None)
    filters = {"waits_for": waits_for, "parent_id": parent_id, "source": source}
    after = {"after_entity": after_entity, "after_key": after_key, "after_id": after_id}
    async with reader.session() as session:
        freshness = await freshness_of(session, RECORD_TOPICS)
        rows = await session.rows("parked_page", {**filters, **after, "limit": limit + 1})
        missing = await session.rows("missing_parents", {**filters, "max_parents": MAX_PARENTS})
    shown, next_cursor = cut_page(
        rows, limit, lambda last: ("parked", last["waits_for"], last["waits_key"], last["message_id"])
    )
    return {
        "parked": [_with_parent(row) for row in shown],
        "missing": [_with_parent(row) for row in missing],
        "next_cursor": next_cursor,
        "freshness": freshness,
    }


def _with_parent(row: Row) -> Row:
    """Kind and id of the parent belong together."""
    rest = {name: value for name, value in row.items() if name not in {"waits_for", "waits_key"}}
    return {**rest, "waits_for": {"entity": row["waits_for"], "id": row["waits_key"]}}
