"""What a process is told whose database is not as it must be."""

from zoneinfo import ZoneInfo

import psycopg
import pytest

from support.postgres import Database, PostgresServer
from tillstream.db.zone import check_zone
from tillstream.errors import Misconfigured

pytestmark = pytest.mark.integration

UTC = ZoneInfo("UTC")


async def refusal(dsn: str) -> str:
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        with pytest.raises(Misconfigured) as refused:
            await check_zone(conn, UTC)
    return str(refused.value)


async def test_another_services_role_is_told_from_a_database_that_is_not_migrated(database: Database) -> None:
    said = await refusal(database.reader_dsn)
    assert "permission denied" in said
    assert "role" in said


async def test_a_database_without_the_schema_is_to_be_migrated(postgres_server: PostgresServer) -> None:
    said = await refusal(postgres_server.dsn())
    assert said == "The database is not migrated; `tillstream migrate` does that."


async def test_the_right_role_is_let_in_with_the_zone_of_the_database_only(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.worker_dsn) as conn:
        await check_zone(conn, UTC)
        with pytest.raises(Misconfigured, match="keeps its days in 'UTC'"):
            await check_zone(conn, ZoneInfo("Asia/Kathmandu"))
