"""A sweep that another session keeps from its work is no success, and nothing is lost by it."""

import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, cast

import pytest
from psycopg import AsyncConnection

from tillstream.apply.engine import Engine
from tillstream.apply.statements import SWEEP
from tillstream.apply.sweep import Sweeper, alone
from tillstream.contracts.entities import Entity

from .conftest import Connect
from .reading import rows, run_batch
from .worlds import event, make, user

pytestmark = pytest.mark.integration

RUNBOOK = Path(__file__).parents[4] / "docs" / "runbooks" / "alerts" / "sweep-stale.md"
LOCK = "SELECT pg_advisory_lock(7305112025)"
UNLOCK = "SELECT pg_advisory_unlock(7305112025)"


async def test_a_sweep_succeeds_also_where_nothing_waits(session: Connect) -> None:
    assert (await Sweeper(Engine()).sweep(await session())).is_success


async def test_a_sweep_is_no_success_while_another_session_holds_the_lock(session: Connect) -> None:
    """Somebody with no more than a login, by hand and for as long as his session lasts."""
    conn, other = await session(0), await session(1)
    await run_batch(conn, Engine(), [make(Entity.EVENT, event(1), number=1)])
    await other.execute(LOCK)
    await run_batch(conn, Engine(), [make(Entity.USER, user(1), number=2)])
    sweeper = Sweeper(Engine())

    assert [await sweeper.sweep(conn) for _ in range(2)] == [([], False)] * 2
    assert await rows(conn, "SELECT count(*) FROM shop.parked") == [(1,)]

    await other.execute(UNLOCK)
    swept = await sweeper.sweep(conn)
    assert swept.is_success
    assert [each.outcome.value for each in swept.applied] == ["stored"]


async def test_the_runbook_finds_the_session_that_holds_the_lock(session: Connect) -> None:
    other = await session(1)
    await other.execute(LOCK)
    (query,) = re.findall(
        r"^```sql\n(.+?)^```", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    found = await (await (await session(0)).execute(query.encode())).fetchall()
    assert [row[0] for row in found] == [other.info.backend_pid]


async def test_of_two_workers_that_sweep_at_once_one_succeeds(session: Connect) -> None:
    conn, other = await session(0), await session(1)
    async with other.transaction():
        assert await alone(other)
        assert not (await Sweeper(Engine()).sweep(conn)).is_success
    assert (await Sweeper(Engine()).sweep(other)).is_success


@dataclass
class Crowded:
    """A connection beside which another session holds the lock at every look but the one that is let."""

    conn: AsyncConnection
    other: AsyncConnection
    let: int
    looks: int = 0

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        return self.conn.transaction()

    async def execute(self, statement: LiteralString, *values: Any) -> Any:
        if statement != SWEEP["alone"]:
            return await self.conn.execute(statement, *values)
        is_let, self.looks = self.looks == self.let, self.looks + 1
        if is_let:
            return await self.conn.execute(statement)
        await self.other.execute(LOCK)
        try:
            return await self.conn.execute(statement)
        finally:
            await self.other.execute(UNLOCK)


async def test_parts_that_had_the_lock_in_different_rounds_add_up_to_one_success(session: Connect) -> None:
    """Where others look often, hardly any round has the lock for all of its parts; nothing is neglected for that."""
    conn, other = await session(0), await session(1)
    sweeper = Sweeper(Engine())

    async def sweep(let: int) -> bool:
        return (await sweeper.sweep(cast(AsyncConnection, Crowded(conn, other, let)))).is_success

    assert [await sweep(let) for let in (0, 0, 1, 1, 2)] == [False, False, False, False, True]
    assert not await sweep(0)
