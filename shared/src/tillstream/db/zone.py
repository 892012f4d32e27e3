"""Does a process keep the same days as its database? A service whose setting differs must not answer or write."""

from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection, errors

from tillstream.db.queries import load
from tillstream.errors import Misconfigured


async def check_zone(conn: AsyncConnection, zone: ZoneInfo) -> None:
    """Raises Misconfigured where the database has other days, or none yet; psycopg's errors as they are."""
    statement = load("tillstream.db", "shop_day.sql")["recorded_zone"]
    with migrated():
        row = await (await conn.execute(statement)).fetchone()
    check_recorded(row[0] if row else None, zone)


@contextmanager
def migrated() -> Iterator[None]:
    """Raises Misconfigured where the block asks for what the migration makes and it is not there, or not for this role."""
    try:
        yield
    except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
        raise Misconfigured("The database is not migrated; `tillstream migrate` does that.") from error
    except errors.InsufficientPrivilege as error:
        raise Misconfigured(
            f"The database says {error.diag.message_primary!r}: its role is not the one that this process is to have,"
            " or the database is not migrated to the end; `tillstream migrate` does that."
        ) from error


def check_recorded(recorded: str | None, zone: ZoneInfo) -> None:
    """`recorded` is what the database says of its days. Raises Misconfigured where that is another zone, or nothing."""
    if recorded is None:
        raise Misconfigured("The database does not say where its days begin; `tillstream migrate` sets it.")
    if recorded != zone.key:
        raise Misconfigured(
            f"TILLSTREAM_SHOP_TIMEZONE is {zone.key!r}, but the database keeps its days in {recorded!r}."
        )
