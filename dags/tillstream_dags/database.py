"""What the tasks need of a connection to PostgreSQL: psycopg 3 and psycopg2 both have it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

LOCK_WITHIN_S = 30
STATEMENT_WITHIN_S = 600


class Cursor(Protocol):
    def execute(self, query: str, params: Mapping[str, Any] | None = None, /) -> Any: ...

    def fetchone(self) -> Sequence[Any] | None: ...

    def fetchall(self) -> Sequence[Sequence[Any]]: ...

    def fetchmany(self, size: int, /) -> Sequence[Sequence[Any]]: ...

    def close(self) -> None: ...


class Connection(Protocol):
    def cursor(self) -> Any: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


@contextmanager
def transaction(connection: Connection, *, snapshot: bool = False) -> Iterator[Cursor]:
    """One transaction, bounded in time; a `snapshot` sees the data as of its first statement."""
    cursor = connection.cursor()
    try:
        if snapshot:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN_S}s'")
        cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_WITHIN_S}s'")
        yield cursor
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    finally:
        cursor.close()
