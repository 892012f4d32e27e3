"""What was refused and is still open, with a readable beginning of its bytes."""

import codecs
from typing import Any

from query_api.cursors import cut_page, quarantine_key
from query_api.database import Reader, Row
from query_api.freshness import RECORD_TOPICS, freshness_of

MAX_PAYLOAD_BYTES = 4_096
MAX_SOURCES = 100


async def list_quarantine(
    reader: Reader, *, reason: str | None, source: str | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Newest first; the counts cover all open entries under the same filters. Raises BadParameter for a forged cursor."""
    _, after_id = quarantine_key(cursor) if cursor else (None, None)
    filters = {"reason": reason, "source": source}
    async with reader.session() as session:
        freshness = await freshness_of(session, RECORD_TOPICS)
        rows = await session.rows(
            "quarantine_page",
            {**filters, "after_id": after_id, "limit": limit + 1, "max_bytes": MAX_PAYLOAD_BYTES},
        )
        counts = await session.rows("quarantine_counts", {**filters, "max_sources": MAX_SOURCES})
    shown, next_cursor = cut_page(rows, limit, lambda last: ("quarantine", last["id"]))
    return {
        "quarantine": [_answer(row) for row in shown],
        "counts": {each["reason"]: each["entries"] for each in counts if each["source"] is None},
        "counts_by_source": _by_source([each for each in counts if each["source"] is not None]),
        "next_cursor": next_cursor,
        "freshness": freshness,
    }


def readable(beginning: bytes, *, is_cut: bool) -> str:
    """The bytes as text, what is no UTF-8 as `\\xff`. A character that the cut went through is left out."""
    text, _ = codecs.utf_8_decode(beginning, "backslashreplace", not is_cut)
    return text


def _by_source(counts: list[Row]) -> dict[str, dict[str, int]]:
    """The largest source first, as the rows come."""
    grouped: dict[str, dict[str, int]] = {}
    for each in counts:
        grouped.setdefault(each["source"], {})[each["reason"]] = each["entries"]
    return grouped


def _answer(row: Row) -> Row:
    payload = bytes(row["payload"])
    return {**row, "payload": readable(payload, is_cut=len(payload) < row["payload_bytes"])}
