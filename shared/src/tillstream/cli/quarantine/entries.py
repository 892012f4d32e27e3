"""Entries of the quarantine, chosen by filter or by id and read in pages."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from tillstream.db.queries import load
from tillstream.kafka.records import Place

# A payload has up to 1 MiB.
PAGE_ENTRIES = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """Which open entries; None means all. `ids` names entries instead, also those that are settled."""

    reason: str | None = None
    source: str | None = None
    entity: str | None = None
    topic: str | None = None
    job: UUID | None = None
    since: datetime | None = None
    ids: tuple[int, ...] | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `payload` is what a replay applies: the checked content in JSON where there is one, else what arrived."""

    id: int
    entity: str
    message_id: UUID
    reason: str
    message: str
    source: str
    topic: str | None
    kafka_partition: int | None
    kafka_offset: int | None
    job_id: UUID | None
    line: int | None
    accepted_at: datetime
    received_at: datetime
    version: bytes
    payload: bytes
    resolved_at: datetime | None
    resolution: str | None
    is_requested: bool

    @property
    def origin(self) -> str:
        """Where it came from, in one word."""
        if self.topic is not None and self.kafka_partition is not None:
            return f"{Place(self.topic, self.kafka_partition)}@{self.kafka_offset}"
        return f"{self.job_id}:{self.line}" if self.job_id is not None else "-"


class Group(NamedTuple):
    reason: str
    source: str
    entries: int
    oldest: datetime
    newest: datetime


class Entries:
    """The statements, loaded once. Stateless; raises psycopg's errors as they are."""

    def __init__(self) -> None:
        self._sql: dict[str, LiteralString] = load("tillstream.cli.quarantine", "entries.sql")

    async def read(
        self, conn: AsyncConnection, filters: Filters, limit: int, *, with_payload: bool = True
    ) -> AsyncIterator[list[Entry]]:
        """Up to `limit` entries, oldest first, page by page, so that memory stays flat."""
        after, left = filters.after, limit
        while left > 0:
            page = await self._page(conn, filters, after, min(left, PAGE_ENTRIES), with_payload=with_payload)
            if not page:
                return
            yield page
            after, left = page[-1].id, left - len(page)

    async def has_more(self, conn: AsyncConnection, filters: Filters, after: int) -> bool:
        """Whether an entry comes after that id."""
        return bool(await self._page(conn, filters, after, 1, with_payload=False))

    async def groups(self, conn: AsyncConnection, filters: Filters, limit: int) -> list[Group]:
        async with conn.cursor(row_factory=class_row(Group)) as cursor:
            await cursor.execute(self._sql["groups"], {**asdict(filters), "limit": limit})
            return await cursor.fetchall()

    async def _page(
        self, conn: AsyncConnection, filters: Filters, after: int, size: int, *, with_payload: bool
    ) -> list[Entry]:
        wanted: dict[str, Any] = asdict(filters) | {
            "ids": None if filters.ids is None else list(filters.ids),
            "after": after,
            "limit": size,
            "with_payload": with_payload,
        }
        async with conn.cursor(row_factory=class_row(Entry)) as cursor:
            await cursor.execute(self._sql["page"], wanted)
            return await cursor.fetchall()
