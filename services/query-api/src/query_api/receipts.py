"""What became of an event, or of any message by its id."""

from typing import Any
from uuid import UUID

from query_api.database import Reader, Row
from tillstream.contracts.ids import resolve_event_id

UNKNOWN = "unknown"
_FIELDS = (
    "entity",
    "reason",
    "message",
    "source",
    "topic",
    "partition",
    "offset",
    "job_id",
    "file_name",
    "line",
    "accepted_at",
    "decided_at",
    "resolved_at",
)


async def find_receipt(reader: Reader, raw_id: str, source: str) -> dict[str, Any]:
    """`status` is one of the outcomes, or `unknown`: never seen, or still on its way through the log."""
    message_id = resolve_event_id(source, raw_id)
    async with reader.session() as session:
        row = await session.row("receipt", {"message_id": message_id})
    return _answer(message_id, row)


def _answer(message_id: UUID, row: Row | None) -> dict[str, Any]:
    known = row or {}
    waits_for = known.get("waits_for")
    return {
        "event_id": message_id,
        "status": known.get("status", UNKNOWN),
        **{name: known.get(name) for name in _FIELDS},
        "waits_for": {"entity": waits_for, "id": known.get("waits_key")} if waits_for else None,
    }
