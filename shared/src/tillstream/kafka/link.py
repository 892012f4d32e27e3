"""The loop's one connection to PostgreSQL, and what a new one must clear up after the one before it."""

from collections.abc import Awaitable, Callable, Mapping

import structlog
from psycopg import AsyncConnection

from tillstream.db.connections import Connection
from tillstream.db.failures import translated
from tillstream.kafka.batches import Doubt
from tillstream.kafka.fence import Fence, Session
from tillstream.kafka.records import Place

Connect = Callable[[], Awaitable[AsyncConnection]]

_log = structlog.get_logger()


class Link:
    """Opens connections with `connect`, one after the other. Everything raises DatabaseUnavailable for an outage."""

    def __init__(self, connect: Connect, fence: Fence) -> None:
        self._connect = connect
        self._fence = fence
        self._conn: AsyncConnection | None = None
        self._session: Session | None = None
        self._doubt: Doubt | None = None

    def __repr__(self) -> str:
        return f"<Link session {self._session.pid if self._session else None}{'' if self.is_open else ', broken'}>"

    @property
    def is_open(self) -> bool:
        """False also for a connection whose end was noticed."""
        return self._conn is not None and not self._conn.closed

    @property
    def waiting_s(self) -> float:
        """For how long PostgreSQL has been at work on what it was asked; 0 where it is not."""
        return self._conn.waiting_s if isinstance(self._conn, Connection) else 0.0

    @property
    def conn(self) -> AsyncConnection:
        """The connection of now; it may be broken. Only once `connection` returned, and until `drop`."""
        assert self._conn is not None, "nothing is held without a connection"
        return self._conn

    async def connection(self) -> AsyncConnection:
        """The open connection. A new one first makes sure that the one before is gone, and what became of its commit."""
        if self.is_open:
            return self.conn
        await self.drop()
        with translated():
            conn = self._conn = await self._connect()
            if self._session is not None:
                await self._fence.end_sessions(conn, [self._session])
            self._session = await self._fence.session(conn)
            if self._doubt is not None:
                await self._settle(conn, self._doubt)
        return conn

    async def drop(self) -> None:
        """Close the connection. The server may notice later; the next one sees to it."""
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()

    def doubt(self, doubt: Doubt) -> None:
        """The connection broke during this commit."""
        self._doubt = doubt

    async def release(self, epochs: Mapping[Place, int]) -> None:
        """Give places up in the fence, if there is still a way to."""
        if self.is_open and epochs:
            with translated():
                await self._fence.release(self.conn, epochs)

    async def _settle(self, conn: AsyncConnection, doubt: Doubt) -> None:
        committed = doubt.was_committed(await self._fence.positions(conn, doubt.moves.keys()))
        self._doubt = None
        if committed is None:
            _log.warning(
                "A batch that another owner overtook is not counted here.", partitions=len(doubt.moves)
            )
            return
        _log.info("Found out what became of a commit.", committed=committed, partitions=len(doubt.moves))
        if committed:
            await doubt.result.committed(conn)
