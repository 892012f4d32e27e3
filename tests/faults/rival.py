"""A second writer on the same rows, as the file-loader is one: slow, in the order that all writers keep, and without effect."""

import asyncio
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection

from faults.holding import hold
from faults.system import System
from tillstream.db.connections import connect

PAUSE_S = 0.002
USERS = "SELECT user_id FROM shop.users ORDER BY user_id LIMIT 300"
LOCK = "SELECT FROM shop.users WHERE user_id = %s FOR NO KEY UPDATE"  # what an upsert takes


@dataclass(slots=True)
class RivalWriter:
    """It takes the rows of hundreds of users, one after the other, and rolls back; again and again."""

    name: str = "a rival writer on the same rows"
    hold_s: float = 3.0
    takes_s: float = 0.0
    _task: "asyncio.Task[None] | None" = None
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def inject(self, system: System) -> None:
        self._task = asyncio.create_task(self._write(system), name=self.name)

    async def heal(self, system: System) -> None:
        self._enough.set()
        if self._task is not None:
            await self._task

    async def _write(self, system: System) -> None:
        while not await hold(PAUSE_S, self._enough):
            try:
                async with await connect(system.worker_dsn, application_name="rival") as conn:
                    await self._take_rows(conn)
            except psycopg.OperationalError:  # another fault; or a deadlock, which the server's log has
                continue

    async def _take_rows(self, conn: AsyncConnection) -> None:
        async with conn.transaction(force_rollback=True):
            for (user_id,) in await (await conn.execute(USERS)).fetchall():
                await conn.execute(LOCK, [user_id])
                if await hold(PAUSE_S, self._enough):
                    return
