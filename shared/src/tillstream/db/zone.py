"""Does a process keep the same days as its database? A service whose setting differs must not write."""

from zoneinfo import ZoneInfo

from psycopg import AsyncConnection, errors

from tillstream.db.queries import load
from tillstream.errors import Misconfigured


async def check_zone(conn: AsyncConnection, zone: ZoneInfo) -> None:
    """Raises Misconfigured where the database has other days, or none yet; psycopg's errors as they are."""
    statement = load("tillstream.db", "shop_day.sql")["recorded_zone"]
    try:
        row = await (await conn.execute(statement)).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.InsufficientPrivilege) as error:
        raise Misconfigured("The database is not migrated; `tillstream migrate` does that.") from error
    if row is None:
        raise Misconfigured("The database does not say where its days begin; `tillstream migrate` sets it.")
    if row[0] != zone.key:
        raise Misconfigured(
            f"TILLSTREAM_SHOP_TIMEZONE is {zone.key!r}, but the database keeps its days in {row[0]!r}."
        )
