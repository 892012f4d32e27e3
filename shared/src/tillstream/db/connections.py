"""How this project opens connections: UTC, bounded waits, and a name that an operator recognises."""

import time
from typing import Any, override

from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg_pool import AsyncConnectionPool

CONNECT_TIMEOUT_S = 5
WAIT_INTERVAL_S = 0.1  # after which psycopg looks for a signal; its own
# The pool doubles its pause between attempts. Giving up soon keeps the pauses short: the next question starts afresh.
RECONNECT_FOR_S = 2.0
# Beyond this many questions per connection the next one is told at once to come back later.
MAX_WAITING_PER_CONNECTION = 16
# A stopped client must not hold locks for ever: the server ends what idles in a transaction or runs too long.
_WRITER_OPTIONS = {
    "TimeZone": "UTC",
    "jit": "off",
    "client_min_messages": "warning",
    "lock_timeout": "10s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "15s",
    "transaction_timeout": "120s",
}
_READER_OPTIONS = {
    "TimeZone": "UTC",
    "jit": "off",
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "15s",
}
_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class Connection(AsyncConnection):
    """Knows for how long the server has been at work, for whoever has something to do meanwhile."""

    _asked_at: float | None = None

    @property
    def waiting_s(self) -> float:
        """Seconds since the server was asked for what it has not answered yet; 0 where it owes no answer."""
        return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at

    @override
    async def wait[RV](
        self, gen: PQGen[RV], interval: float = WAIT_INTERVAL_S, timeout: float | None = None
    ) -> RV:
        """As psycopg has it, through which every question and every piece of a COPY goes."""
        self._asked_at = time.monotonic()
        try:
            return await super().wait(gen, interval, timeout)
        finally:
            self._asked_at = None


def _as_options(settings: dict[str, str]) -> str:
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


async def connect(dsn: str, *, application_name: str) -> Connection:
    """A writer's connection in autocommit mode: transactions are opened by `conn.transaction()` alone.

    Raises psycopg.OperationalError where the server does not answer within `CONNECT_TIMEOUT_S`.
    """
    return await Connection.connect(
        dsn,
        autocommit=True,
        application_name=application_name,
        connect_timeout=CONNECT_TIMEOUT_S,
        options=_as_options(_WRITER_OPTIONS),
        **_KEEPALIVE,
    )


def reader_pool(
    dsn: str, *, application_name: str, statement_timeout_ms: int, max_size: int, wait_timeout_s: float
) -> AsyncConnectionPool[AsyncConnection]:
    """A pool for questions: read-only, every statement bounded. The caller opens and closes it."""
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=max_size,
        timeout=wait_timeout_s,
        max_waiting=max_size * MAX_WAITING_PER_CONNECTION,
        reconnect_timeout=RECONNECT_FOR_S,
        open=False,
        check=AsyncConnectionPool.check_connection,
        kwargs={
            "autocommit": True,
            "application_name": application_name,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": _as_options({**_READER_OPTIONS, "statement_timeout": f"{statement_timeout_ms}ms"}),
            **_KEEPALIVE,
        },
    )
