"""A second writer on the same rows, as the file-loader is one: slow, in the order that all writers keep, and without effect."""

from dataclasses import dataclass, field
from time import monotonic

import psycopg
from psycopg import AsyncConnection

from faults.goods import FIRST_USERS, LOWER_USERS
from faults.holding import Again
from faults.kinds import NotMade
from faults.system import System
from tillstream.db.connections import connect

PAUSE_S = 0.01
ASKED_FOR_WITHIN_S = 2.0
LOCK = "SELECT FROM shop.users WHERE user_id BETWEEN %s AND %s ORDER BY user_id FOR NO KEY UPDATE"  # as an upsert
# pg_stat_activity would be of the transaction's first look.
IS_WAITED_FOR = """
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))
"""


@dataclass(slots=True)
class RivalWriter:
    """It takes the lower half of the first users' rows, waits until somebody wants one of them, takes the upper half, and
    rolls back; again and again. Who wants the rows of a pair of twins in another order than by id holds the upper one by
    then, and the two wait for one another.
    """

    name: str = "a rival writer on the same rows"
    hold_s: float = 3.0
    takes_s: float = 0.0
    _again: Again = field(default_factory=Again)
    _took: int = 0

    async def inject(self, system: System) -> None:
        self._again.begin(self._write(system), self.name)

    async def heal(self, system: System) -> None:
        await self._again.end()
        if not self._took:
            raise NotMade("it never got a row")

    async def _write(self, system: System) -> None:
        while not await self._again.enough(PAUSE_S):
            try:
                async with await connect(system.worker_dsn, application_name="rival") as conn:
                    await self._take_rows(conn)
            except psycopg.OperationalError:  # another fault; or a deadlock, which the server's log has
                continue

    async def _take_rows(self, conn: AsyncConnection) -> None:
        async with conn.transaction(force_rollback=True):
            await conn.execute(LOCK, [1, LOWER_USERS])
            self._took += 1
            deadline = monotonic() + ASKED_FOR_WITHIN_S
            while not await self._is_waited_for(conn) and monotonic() < deadline:
                if await self._again.enough(PAUSE_S):
                    return
            await conn.execute(LOCK, [LOWER_USERS + 1, FIRST_USERS])

    async def _is_waited_for(self, conn: AsyncConnection) -> bool:
        return await (await conn.execute(IS_WAITED_FOR)).fetchone() == (True,)
