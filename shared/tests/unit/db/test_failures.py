"""Every SQLSTATE has one meaning here."""

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout

from tillstream.db.failures import is_about_a_record, translate, translated
from tillstream.errors import DatabaseUnavailable, TillstreamError, TransactionConflict, TransactionTimedOut

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (errors.ConnectionFailure("gone"), DatabaseUnavailable),
        (errors.DiskFull("full"), DatabaseUnavailable),
        (errors.TooManyConnections("many"), DatabaseUnavailable),
        (errors.AdminShutdown("stop"), DatabaseUnavailable),
        (errors.CannotConnectNow("starting"), DatabaseUnavailable),
        (errors.IoError("disk"), DatabaseUnavailable),
        (errors.ReadOnlySqlTransaction("standby"), DatabaseUnavailable),
        (errors.InvalidPassword("being rotated"), DatabaseUnavailable),
        (errors.QueryCanceled("statement time-out"), TransactionTimedOut),
        (errors.TransactionTimeout("transaction time-out"), TransactionTimedOut),
        (psycopg.OperationalError("server closed the connection"), DatabaseUnavailable),
        (errors.DeadlockDetected("cycle"), TransactionConflict),
        (errors.SerializationFailure("again"), TransactionConflict),
        (errors.LockNotAvailable("lock time-out"), TransactionConflict),
        (errors.NumericValueOutOfRange("too big"), None),
        (errors.UniqueViolation("twice"), None),
        (errors.UndefinedTable("a bug"), None),
        (errors.InsufficientPrivilege("a bug"), None),
        (psycopg.ProgrammingError("a bug"), None),
    ],
)
def test_a_failure_of_the_database_has_one_meaning(
    error: psycopg.Error, meaning: type[TillstreamError] | None
) -> None:
    found = translate(error)

    assert (type(found) if found else None) is meaning


def test_every_sqlstate_that_psycopg_knows_is_mapped_or_left_to_the_engine_or_a_bug() -> None:
    known = [
        cls() for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, psycopg.Error)
    ]
    retried = {error.sqlstate for error in known if error.sqlstate and translate(error)}

    assert {state[:2] for state in retried} == {"08", "25", "28", "40", "53", "55", "57", "58"}
    assert not any(is_about_a_record(error) and translate(error) for error in known)


def test_an_unknown_error_passes_as_it_is() -> None:
    with pytest.raises(errors.UndefinedTable), translated():
        raise errors.UndefinedTable("a bug")


def test_a_pool_without_a_free_connection_is_an_outage() -> None:
    with pytest.raises(DatabaseUnavailable), translated():
        raise PoolTimeout("none in 3 s")
