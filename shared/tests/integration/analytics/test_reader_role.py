"""The reader's role sees views and calls functions of schema `api`; it neither reads a table nor writes anything."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors, sql

from support.postgres import Database
from tillstream.db.tables import Table

from .conftest import Shop

pytestmark = pytest.mark.integration

TABLES = sorted(table.name for table in Table.metadata.sorted_tables)


@pytest.fixture
def reader(database: Database) -> Iterator[psycopg.Connection]:
    """A session as query-api opens it: it logs in as the reader and can become nobody else."""
    with psycopg.connect(database.reader_dsn, autocommit=True) as connection:
        yield connection


def test_no_table_can_be_read(reader: psycopg.Connection) -> None:
    for table in TABLES:
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute(sql.SQL("SELECT FROM shop.{}").format(sql.Identifier(table)))


def test_every_view_can_be_read(reader: psycopg.Connection) -> None:
    views = reader.execute(
        "SELECT table_name FROM information_schema.views WHERE table_schema = 'api'"
    ).fetchall()
    assert len(views) >= 10
    for (view,) in views:
        reader.execute(sql.SQL("SELECT * FROM api.{}").format(sql.Identifier(view)))


WRITES = [
    "INSERT INTO api.settings VALUES ('shop_timezone', 'UTC')",
    "UPDATE api.settings SET value = 'UTC'",
    "DELETE FROM api.settings",
    "INSERT INTO api.rejects (line) VALUES (1)",
    "UPDATE api.quarantine SET reason = 'invalid_id'",
    "DELETE FROM api.quarantine",
    "INSERT INTO shop.users VALUES (7)",
    "UPDATE shop.orders SET total_amount = 0",
    "DELETE FROM shop.events",
    "TRUNCATE shop.events",
    "DROP VIEW api.orders",
    "CREATE TABLE api.mine (x int)",
    "CREATE TABLE public.mine (x int)",
    "CREATE TABLE reports.mine (x int)",
    "CREATE OR REPLACE FUNCTION api.shop_day(moment timestamptz) RETURNS date LANGUAGE sql RETURN '2024-01-01'::date",
    "SET ROLE tillstream_owner",
    "SET ROLE tillstream_worker",
    "SET ROLE tillstream_reports",
]


def test_nothing_can_be_written(reader: psycopg.Connection) -> None:
    with pytest.raises(errors.ReadOnlySqlTransaction):
        reader.execute("TRUNCATE shop.events")
    reader.execute("SET default_transaction_read_only = off")  # the second wall, which a reader may take down
    for statement in WRITES:
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute(statement.encode())


def test_functions_over_tables_run_with_their_owners_rights_on_a_fixed_path_and_not_for_everybody(
    shop: Shop,
) -> None:
    functions = shop.ask(
        """
        SELECT
          proname, prosecdef, coalesce(proconfig, '{}'),
          EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a WHERE a.grantee = 0)
        FROM pg_proc WHERE pronamespace = 'api'::regnamespace
        """
    )
    over_tables = {"daily_revenue", "top_products", "retention", "funnel"}
    assert over_tables <= {name for name, *_ in functions}
    for name, is_definer, config, is_for_everybody in functions:
        assert not is_for_everybody, name
        assert is_definer == (name in over_tables), name
        if is_definer:
            assert "search_path=pg_catalog, pg_temp" in config, name


def test_a_function_is_not_led_astray_by_what_the_caller_creates(shop: Shop) -> None:
    shop.rows.order(1, "2024-05-01T12:00Z", "5.00")
    shop.connection.execute(
        "CREATE TEMPORARY TABLE orders AS SELECT 'paid' AS status, 1000000 AS total_amount"
    )
    shop.connection.execute("SET LOCAL search_path = pg_temp, shop, api")
    assert shop.revenue("2024-05-01", "2024-05-01") == [("2024-05-01", "5.00", 1)]
