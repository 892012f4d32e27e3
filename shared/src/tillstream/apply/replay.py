"""Replays: quarantined messages that a person wants to be applied again, as they were or with another payload.

Whoever wishes it writes a row of `replay_requests`; only the worker writes shop data, and does it here under the
original message id and version.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.apply.file_statements import move_in_statements
from tillstream.apply.statements import REPLAY
from tillstream.apply.sweep import alone
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Origin, Refusal
from tillstream.contracts.parsing import parse_json
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import check, content_hash, payload_hash
from tillstream.contracts.rules import Rules
from tillstream.errors import MalformedJson

DEFAULT_LIMIT = 500
MAX_BYTES = 8 * 1024 * 1024  # of payloads in one transaction, and one payload more


class _Request(NamedTuple):
    """A wish, and the message that it is about. `is_open`: its row is still counted as refused in its file's statement."""

    id: int
    quarantine_id: int
    is_open: bool
    original: tuple[Any, ...]


class Replayer:
    """Meets open requests; the answer to each stands in its row, written in the transaction of its effect."""

    def __init__(self, engine: Engine, shop_timezone: ZoneInfo, limit: int = DEFAULT_LIMIT) -> None:
        self._engine = engine
        self._shop_timezone = shop_timezone
        self._limit = limit

    async def replay(self, conn: AsyncConnection) -> Sequence[Applied]:
        """One round, in a transaction of its own: what became of at most `limit` requests of some MAX_BYTES, oldest first.

        A request is met once, whatever crashes. A message that is refused again stays in quarantine with what is wrong
        now. Raises psycopg's errors as they are; then nothing was done.
        """
        async with conn.transaction():
            if not await alone(conn):
                return []
            await conn.execute(REPLAY["answer_for_files"])
            cursor = await conn.execute(REPLAY["open_requests"], {"limit": self._limit, "bytes": MAX_BYTES})
            requests = [_Request(row[0], row[1], row[2], row[3:]) for row in await cursor.fetchall()]
            if not requests:
                return []
            counted = list(_counted(requests))
            messages = [
                self._message(*each.original) if counts else _of_no_file(self._message(*each.original))
                for each, counts in zip(requests, counted, strict=True)
            ]
            applied = await self._engine.apply(conn, messages)
            await _answer(conn, [each.id for each in requests], applied)
            await move_in_statements(conn, "rejected", compress(applied, counted))
            return applied

    def _message(
        self,
        payload: bytes,
        entity: str,
        message_id: UUID,
        source: str,
        accepted_at: Any,
        version: bytes,
        *origin: Any,
    ) -> Message:
        kind = Entity(entity)
        content = checked(kind, payload, Rules(accepted_at, self._shop_timezone))
        return Message(
            entity=kind,
            message_id=message_id,
            source=source,
            accepted_at=accepted_at,
            version=version,
            content_hash=payload_hash(payload)
            if isinstance(content, Refusal)
            else content_hash(kind, content),
            payload=payload,
            origin=Origin(*origin),
            content=None if isinstance(content, Refusal) else content,
            refusal=content if isinstance(content, Refusal) else None,
            correction=True,
        )


def checked(kind: Entity, payload: bytes, rules: Rules) -> dict[str, Any] | Refusal:
    """The content of a payload that is to be applied again, or why it is refused."""
    try:
        return check(kind, parse_json(payload), rules)
    except MalformedJson as error:
        return Refusal(Reason.MALFORMED_JSON, str(error))


def _counted(requests: Sequence[_Request]) -> Iterator[bool]:
    """Whether a wish moves a row in its file's statement: the first of several for one entry does, and none for a settled one."""
    seen: set[int] = set()
    for request in requests:
        yield request.is_open and request.quarantine_id not in seen
        seen.add(request.quarantine_id)


def _of_no_file(message: Message) -> Message:
    """Where its row was counted before: were it parked as a row of the file, its end would be counted once more."""
    return replace(message, origin=replace(message.origin, job_id=None, line=None))


async def _answer(conn: AsyncConnection, ids: Sequence[int], applied: Sequence[Applied]) -> None:
    async with conn.cursor() as cursor:
        await cursor.executemany(
            REPLAY["answer"],
            [
                {
                    "id": request_id,
                    "outcome": result.outcome.value,
                    "reason": result.reason and result.reason.value,
                }
                for request_id, result in zip(ids, applied, strict=True)
            ],
        )
