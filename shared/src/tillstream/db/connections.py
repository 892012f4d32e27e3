"""How this project opens connections: UTC, bounded waits, and a name that an operator recognises."""

from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

CONNECT_TIMEOUT_S = 5
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


def _as_options(settings: dict[str, str]) -> str:
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


async def connect(dsn: str, *, application_name: str) -> AsyncConnection:
    """A writer's connection in autocommit mode: transactions are opened by `conn.transaction()` alone.

    Raises psycopg.OperationalError where the server does not answer within `CONNECT_TIMEOUT_S`.
    """
    return await AsyncConnection.connect(
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
