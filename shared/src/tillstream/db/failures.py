"""The one seam where PostgreSQL's failures become ours.

The SQLSTATE class decides (PostgreSQL manual, appendix A): 08, 53, 57, 58 and 25006 are an outage, and so is
28, a password that is being changed; a time-out is one that less work at once may avoid; 40P01 and 40001 are a
conflict. Classes 22 and 23 speak of a record and are the apply engine's to narrow down; all else is a bug.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolTimeout

from tillstream.errors import DatabaseUnavailable, TillstreamError, TransactionConflict, TransactionTimedOut

_OUTAGE_CLASSES = ("08", "28", "53", "57", "58")
_OUTAGE_STATES = ("25006", "25P03")  # read-only, idle in a transaction for too long
_TIMEOUT_STATES = ("57014", "25P04")  # a statement, a whole transaction
_CONFLICT_STATES = ("40001", "40P01", "55P03")  # serialisation, deadlock, lock time-out


def translate(error: psycopg.Error) -> TillstreamError | None:
    """The error of ours that `error` means, or None where it speaks of a record or of a bug."""
    state = error.sqlstate
    if state is None:
        is_connection_fault = isinstance(error, psycopg.OperationalError)
        return DatabaseUnavailable(_first_line(error)) if is_connection_fault else None
    if state in _CONFLICT_STATES:
        return TransactionConflict(_first_line(error))
    if state in _TIMEOUT_STATES:
        return TransactionTimedOut(_first_line(error))
    if state[:2] in _OUTAGE_CLASSES or state in _OUTAGE_STATES:
        return DatabaseUnavailable(_first_line(error))
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Raises our errors instead of psycopg's where `translate` knows one; others pass unchanged."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("no connection became free in time") from error
    except psycopg.Error as error:
        known = translate(error)
        if known is None:
            raise
        raise known from error


def is_about_a_record(error: psycopg.Error) -> bool:
    """Whether the SQLSTATE blames data (22) or a constraint (23)."""
    return (error.sqlstate or "")[:2] in {"22", "23"}


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
