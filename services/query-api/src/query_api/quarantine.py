"""What was refused and is still open, with a readable beginning of its bytes."""

import codecs
from typing import Any

from query_api.cursors import encode_cursor, quarantine_key
from query_api.database import Reader, Row

MAX_PAYLOAD_BYTES = 4_096


async def list_quarantine(
    reader: Reader, *, reason: str | None, source: str | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Newest first; `counts` covers all open entries under the same filters. Raises BadParameter for a forged cursor."""
    _, after_id = quarantine_key(cursor) if cursor else (None, None)
    filters = {"reason": reason, "source": source}
    async with reader.session() as session:
        rows = await session.rows(
            "quarantine_page",
            {**filters, "after_id": after_id, "limit": limit + 1, "max_bytes": MAX_PAYLOAD_BYTES},
        )
        counts = await session.rows("quarantine_counts", filters)
    shown = rows[:limit]
    next_cursor = encode_cursor(("quarantine", shown[-1]["id"])) if len(rows) > limit else None
    return {
        "quarantine": [_answer(row) for row in shown],
        "counts": {each["reason"]: each["entries"] for each in counts},
        "next_cursor": next_cursor,
    }


def readable(beginning: bytes, *, is_cut: bool) -> str:
    """The bytes as text, what is no UTF-8 as `\\xff`. A character that the cut went through is left out."""
    text, _ = codecs.utf_8_decode(beginning, "backslashreplace", not is_cut)
    return text


def _answer(row: Row) -> Row:
    payload = bytes(row["payload"])
    return {**row, "payload": readable(payload, is_cut=len(payload) < row["payload_bytes"])}
