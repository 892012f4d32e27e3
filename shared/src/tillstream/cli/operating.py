"""The way of a person's commands into the database: the role `tillstream_operator`, which can write no row of the shop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection, errors
from pydantic import Field, SecretStr

from tillstream.db.connections import connect
from tillstream.db.failures import translated
from tillstream.db.zone import check_zone
from tillstream.errors import Misconfigured

OperatorUrl = Annotated[
    SecretStr, Field(description="Connection string of PostgreSQL for role tillstream_operator.")
]

type Work[Result] = Callable[[AsyncConnection], Awaitable[Result]]


class OperatorSettings(Protocol):
    """What the settings of such a command have in common."""

    @property
    def operator_database_url(self) -> SecretStr: ...

    @property
    def shop_timezone(self) -> ZoneInfo: ...


def operate[Result](settings: OperatorSettings, command: str, work: Work[Result]) -> Result:
    """Blocks until `work` is done, on a connection of its own in a loop of its own. Raises what `operating` raises."""

    async def connected() -> Result:
        async with operating(settings.operator_database_url, settings.shop_timezone, command) as conn:
            return await work(conn)

    return asyncio.run(connected())


@asynccontextmanager
async def operating(url: SecretStr, shop_timezone: ZoneInfo, command: str) -> AsyncIterator[AsyncConnection]:
    """A connection to a database that keeps the same days, for as long as the block takes.

    Raises Misconfigured for another database or another role, DatabaseUnavailable, TransactionConflict.
    """
    with translated():
        conn = await connect(url.get_secret_value(), application_name=f"tillstream {command}")
        try:
            await check_zone(conn, shop_timezone)
            yield conn
        except errors.InsufficientPrivilege as error:
            raise Misconfigured(
                "The role of TILLSTREAM_OPERATOR_DATABASE_URL may not do this; tillstream_operator may."
            ) from error
        finally:
            await conn.close()
