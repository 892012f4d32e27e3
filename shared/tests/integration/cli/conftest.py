"""The `tillstream` command as an operator runs it, and a shop in which records were refused."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import AsyncConnection

from support.postgres import Database
from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.apply.replay import Replayer
from tillstream.cli.main import main
from tillstream.contracts.entities import TOPIC_OF, Entity
from tillstream.contracts.envelope import headers_for, read_record
from tillstream.contracts.ids import new_id
from tillstream.contracts.parsing import dump_json
from tillstream.db.connections import connect
from tillstream.testing.builders import ACCEPTED_AT, FakeRecord

UTC_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


type Tillstream = Callable[..., Coroutine[Any, Any, Said]]


@pytest.fixture
def tillstream(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Tillstream:
    """Runs the command in a thread of its own, since it runs a loop of its own."""
    monkeypatch.setenv("TILLSTREAM_ENV", "development")
    monkeypatch.setenv("TILLSTREAM_OPERATOR_DATABASE_URL", database.operator_dsn)

    async def run(*arguments: str) -> Said:
        capsysbinary.readouterr()
        try:
            code = await asyncio.to_thread(main, list(arguments))
        except SystemExit as ended:
            code = int(str(ended.code))
        said = capsysbinary.readouterr()
        return Said(code, said.out.decode(), said.err.decode())

    return run


class Shop:
    """What the worker does, and what the tables say."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = Engine()
        self._offset = 0

    async def apply(
        self, entity: Entity, *items: dict[str, Any] | bytes, source: str = "shop"
    ) -> Sequence[Applied]:
        """Records as ingest-api publishes them, applied in one batch."""
        messages = [read_record(self._record(entity, item, source), entity, UTC_ZONE) for item in items]
        async with await self._worker() as conn, conn.transaction():
            return await self._engine.apply(conn, messages)

    async def replay(self) -> Sequence[Applied]:
        """One round of the worker's replays."""
        async with await self._worker() as conn:
            return await Replayer(self._engine, UTC_ZONE).replay(conn)

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with await AsyncConnection.connect(self._database.superuser_dsn, autocommit=True) as conn:
            cursor = await conn.execute(statement.encode())
            return await cursor.fetchall() if cursor.description else []

    async def _worker(self) -> AsyncConnection:
        return await connect(self._database.worker_dsn, application_name="worker")

    def _record(self, entity: Entity, item: dict[str, Any] | bytes, source: str) -> FakeRecord:
        self._offset += 1
        value = item if isinstance(item, bytes) else dump_json(item)
        headers = headers_for(
            message_id=new_id(), entity=entity, source=source, accepted_at=ACCEPTED_AT, position=0
        )
        return replace(FakeRecord(value, headers), topic=TOPIC_OF[entity], offset=self._offset)


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)
