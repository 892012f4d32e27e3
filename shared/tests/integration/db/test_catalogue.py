"""Migrations from nothing give what the models declare: tables, columns, constraints with their enforcement, indexes."""

import asyncio
from collections.abc import Iterator
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from support.postgres import PASSWORD, Database, PostgresServer, migrate
from tillstream.db import migrate as migrations
from tillstream.db.connections import connect
from tillstream.db.migrate import migrate as run_migrations
from tillstream.db.tables import Table
from tillstream.errors import DatabaseUnavailable, Misconfigured
from tillstream.kafka.fence import Fence
from tillstream.kafka.records import LogIdentity, Place

pytestmark = pytest.mark.integration

CATALOGUE = """
SELECT 'column', c.relname, a.attname,
  concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END, a.attidentity,
    a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname,
  concat_ws(' ', pg_get_constraintdef(oid), CASE WHEN conenforced THEN 'enforced' END)
FROM pg_constraint WHERE connamespace = 'shop'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'shop'
"""
NOT_DECLARED = {
    # SQLAlchemy cannot declare NOT ENFORCED; the migration adds these two by hand.
    ("constraint", "shop.events", "events_user_id_fkey"),
    ("constraint", "shop.events", "events_product_id_fkey"),
}
OF_ALEMBIC = "alembic_version"


def catalogue(dsn: str) -> dict[tuple[str, str, str], str]:
    with psycopg.connect(dsn) as connection:
        entries = connection.execute(CATALOGUE.encode()).fetchall()
    return {(kind, table, name): text for kind, table, name, text in entries if OF_ALEMBIC not in table}


def declared(server: PostgresServer, owner: str) -> dict[tuple[str, str, str], str]:
    """What the models alone make of an empty database."""
    name = f"declared_{uuid4().hex}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER tillstream_owner").format(sql.Identifier(name)))
    url = make_url(server.dsn(name, owner)).set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA shop"))
        Table.metadata.create_all(connection)
    engine.dispose()
    found = catalogue(server.dsn(name, owner))
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
    return found


def test_migrations_from_nothing_give_what_the_models_declare(database: Database) -> None:
    migrated = catalogue(database.owner_dsn)
    by_hand = {key: migrated.pop(key) for key in NOT_DECLARED}

    assert migrated == declared(database.server, "tillstream_owner")
    assert all(text.endswith("NOT ENFORCED") for text in by_hand.values())


@pytest.mark.parametrize(
    "drift",
    [
        "ALTER TABLE shop.orders DROP CONSTRAINT orders_status_check",
        "ALTER TABLE shop.users ALTER COLUMN name DROP NOT NULL",
        "DROP INDEX shop.orders_by_user",
        "ALTER TABLE shop.order_items ALTER CONSTRAINT order_items_product_id_fkey NOT ENFORCED",
        "ALTER TABLE shop.file_jobs ALTER COLUMN lease_pid TYPE bigint",  # in no view, which would forbid it
    ],
)
def test_a_planted_drift_is_seen(database: Database, drift: str) -> None:
    before = catalogue(database.owner_dsn)
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute(drift.encode())

    assert catalogue(database.owner_dsn) != before


def test_a_second_migration_changes_nothing(database: Database) -> None:
    before = catalogue(database.owner_dsn)

    migrate(database.server, database.name)

    assert catalogue(database.owner_dsn) == before


@pytest.fixture
def first_release(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database at the first revision; it had no operator yet, whose rights name what came later."""
    old = Database(database.server, f"first_{uuid4().hex}")
    name = sql.Identifier(old.name)
    with psycopg.connect(database.server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER tillstream_owner").format(name))
        with monkeypatch.context() as then:
            then.setattr(migrations, "_NEWEST", "0001")
            then.setattr(migrations, "_grant", lambda _connection: None)
            then.setattr(
                migrations, "_replace_views", lambda _connection: None
            )  # nor did it have today's views
            migrate(old.server, old.name)
        yield old
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def test_a_database_of_the_first_release_is_upgraded_in_place(
    database: Database, first_release: Database
) -> None:
    place = Place("toy", 3)
    with psycopg.connect(first_release.owner_dsn) as connection:
        connection.execute(
            "INSERT INTO shop.consumer_offsets (topic, kafka_partition, next_offset, cluster_id)"
            " VALUES ('toy', 3, 41, 'cluster')"
        )

    migrate(first_release.server, first_release.name)

    assert catalogue(first_release.owner_dsn) == catalogue(database.owner_dsn)
    async with await connect(first_release.worker_dsn, application_name="fence") as conn:
        positions = await Fence().take_over(
            conn,
            [place],
            owner="toy",
            starts={place: 0},
            cluster_id="cluster",
            topic_ids={"toy": UUID(int=7)},
        )
    assert positions[place].next_offset == 41
    assert positions[place].identity == LogIdentity("cluster", UUID(int=7))


async def test_two_migrations_at_a_time_take_turns(database: Database) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, database.server, database.name) for _ in range(2)))

    assert ("column", "orders", "order_id") in catalogue(database.owner_dsn)


def test_another_time_zone_is_refused_until_it_is_asked_for(database: Database) -> None:
    zone = ZoneInfo("Asia/Kathmandu")
    with pytest.raises(Misconfigured, match="TILLSTREAM_SHOP_TIMEZONE"):
        run_migrations(database.owner_dsn, shop_timezone=zone, passwords={})

    run_migrations(database.owner_dsn, shop_timezone=zone, passwords={}, change_zone=True)

    with psycopg.connect(database.owner_dsn) as connection:
        days = connection.execute(
            "SELECT api.shop_day('2024-01-01 18:14Z'), api.shop_day('2024-01-01 18:15Z')"
        )
        assert [str(day) for day in days.fetchone() or ()] == ["2024-01-01", "2024-01-02"]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("tillstream_worker", "CREATE TABLE shop.mine (id int)"),
        ("tillstream_worker", "DELETE FROM shop.orders"),
        ("tillstream_worker", "DELETE FROM shop.quarantine"),
        ("tillstream_worker", "UPDATE shop.file_job_corrections SET corrects = job_id"),
        ("tillstream_worker", "UPDATE shop.settings SET value = 'x'"),
        ("tillstream_operator", "SELECT name FROM shop.users"),
        ("tillstream_operator", "SELECT email_key FROM shop.users"),
        ("tillstream_worker", "SELECT shop.holders_of_emails('{ann@example.org}')"),
        ("tillstream_reader", "SELECT shop.holders_of_emails('{ann@example.org}')"),
        ("tillstream_operator", "UPDATE shop.orders SET status = 'paid'"),
        ("tillstream_operator", "UPDATE shop.replay_requests SET outcome = 'stored'"),
        ("tillstream_operator", "UPDATE shop.quarantine SET resolved_at = now()"),
        ("tillstream_operator", "UPDATE shop.partition_progress SET next_offset = 0"),
        ("tillstream_operator", "INSERT INTO shop.consumer_offsets (topic, kafka_partition) VALUES ('t', 0)"),
        ("tillstream_reader", "SELECT * FROM shop.orders"),
        ("tillstream_reader", "SET transaction_read_only = off; CREATE TABLE api.mine (id int)"),
        ("tillstream_reader", "SET transaction_read_only = off; CREATE TEMPORARY TABLE mine (id int)"),
        ("tillstream_reports", "SELECT * FROM shop.users"),
        ("tillstream_reports", "INSERT INTO api.users VALUES (1, now())"),
        ("tillstream_reports", "DELETE FROM api.events"),
        ("tillstream_reports", "CREATE OR REPLACE VIEW api.users AS SELECT 1 AS user_id"),
        ("tillstream_reports", "DROP VIEW api.orders"),
        ("tillstream_reports", "CREATE TABLE api.mine (id int)"),
        ("tillstream_reports", "CREATE TABLE shop.mine (id int)"),
        ("tillstream_reports", "CREATE TABLE public.mine (id int)"),
        ("tillstream_reports", "CREATE TEMPORARY TABLE mine (id int)"),
        ("tillstream_reports", "SET ROLE tillstream_owner"),
        ("tillstream_reader", "SELECT * FROM reports.mine"),
    ],
)
def test_no_role_may_do_more_than_its_part(database: Database, role: str, statement: str) -> None:
    migrate(database.server, database.name)  # a copy of a template does not take its database's rights along
    dsn = database.server.dsn(database.name, role)
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_reports_may_make_what_it_wants_in_its_own_schema(database: Database) -> None:
    migrate(database.server, database.name)
    with psycopg.connect(database.reports_dsn) as connection:
        for name in ("users", "products", "orders", "order_items", "events"):
            view, source = sql.Identifier("reports", name), sql.Identifier("api", name)
            connection.execute(sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(view, source))
            assert connection.execute(sql.SQL("SELECT count(*) FROM {}").format(view)).fetchone() == (0,)


def test_no_view_of_the_records_tells_who_a_user_is(database: Database) -> None:
    with psycopg.connect(database.owner_dsn) as connection:
        personal = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'api' AND column_name IN ('name', 'email', 'email_key')"
        )
        assert personal.fetchall() == []


def test_a_right_to_all_addresses_that_was_granted_once_is_taken_back(database: Database) -> None:
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute("GRANT SELECT (email_key) ON shop.users TO tillstream_operator")

    migrate(database.server, database.name)

    with (
        psycopg.connect(database.operator_dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT email_key FROM shop.users")


def test_a_migration_that_cannot_have_its_lock_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_WITHIN_S", 1)
    with psycopg.connect(database.owner_dsn) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", [migrations._MIGRATION_LOCK])
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            migrate(database.server, database.name)


def test_a_role_gets_the_password_of_the_settings(database: Database) -> None:
    run_migrations(
        database.owner_dsn, shop_timezone=ZoneInfo("UTC"), passwords={"tillstream_reader": "another"}
    )
    try:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(database.reader_dsn)
    finally:
        run_migrations(
            database.owner_dsn, shop_timezone=ZoneInfo("UTC"), passwords={"tillstream_reader": PASSWORD}
        )
    psycopg.connect(database.reader_dsn).close()
