"""Brings a database to what `tables.py` declares: roles, tables, the shop's day, views, grants. Safe to run again."""

from collections.abc import Mapping
from importlib.resources import files
from zoneinfo import ZoneInfo

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tillstream.db import queries
from tillstream.db.failures import translate
from tillstream.errors import DatabaseUnavailable, Misconfigured

_PACKAGE = "tillstream.db"
_NEWEST = "head"
_BOUNDS = {"tillstream_reader": "bound_reader", "tillstream_reports": "bound_reports"}
# Any number does, as long as every migration takes the same one: two at a time would trip over each other.
LOCK_WITHIN_S = 30
_MIGRATION_LOCK = 7_305_112_024


def migrate(
    admin_dsn: str, *, shop_timezone: ZoneInfo, passwords: Mapping[str, str], change_zone: bool = False
) -> None:
    """Runs everything in one transaction under a lock.

    `admin_dsn` is a role that may create roles, or one that is a member of `tillstream_owner` where they exist.
    `passwords` maps role names to the passwords they shall have. Raises Misconfigured where the database was made
    for another time zone and `change_zone` is not set: the days of all past answers would move. Raises
    DatabaseUnavailable where the server is away or a lock is not to be had within LOCK_WITHIN_S; nothing was done then.
    """
    engine = create_engine(make_url(admin_dsn).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WITHIN_S}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            _prepare_roles(connection, passwords)
            connection.execute(text("SET LOCAL ROLE tillstream_owner"))
            _run_revisions(connection)
            _define_shop_day(connection, shop_timezone, change_zone=change_zone)
            _replace_views(connection)
            _grant(connection)
    except OperationalError as error:
        cause = translate(error.orig) if isinstance(error.orig, psycopg.Error) else None
        raise DatabaseUnavailable(f"The migration was not run: {cause or error.orig}") from error
    finally:
        engine.dispose()


def run_script(connection: Connection, script: str) -> None:
    """Runs several statements as they stand: SQLAlchemy's own ways would read `%` and `:` in them."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.execute(script.encode())


def _prepare_roles(connection: Connection, passwords: Mapping[str, str]) -> None:
    statements = queries.load(_PACKAGE, "roles.sql")
    run_script(connection, statements["create_roles"])
    for role, password in passwords.items():
        change = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(password)
        )
        run_script(connection, change.as_string())
        if bound := _BOUNDS.get(role):
            run_script(connection, statements[bound])
    run_script(connection, statements["create_schemas"])
    run_script(connection, statements["close_public"])


def _run_revisions(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", f"{_PACKAGE}:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, _NEWEST)


def _define_shop_day(connection: Connection, zone: ZoneInfo, *, change_zone: bool) -> None:
    statements = queries.load(_PACKAGE, "shop_day.sql")
    recorded = connection.execute(text(statements["recorded_zone"])).scalar()
    if recorded not in {None, zone.key} and not change_zone:
        raise Misconfigured(
            f"TILLSTREAM_SHOP_TIMEZONE is {zone.key!r}, but this database keeps its days in {recorded!r}"
        )
    connection.execute(text(statements["record_zone"]), {"zone": zone.key})
    definition = statements["define"].format(zone=sql.Literal(zone.key).as_string())
    run_script(connection, definition)


def _replace_views(connection: Connection) -> None:
    views = files(_PACKAGE).joinpath("views")
    for script in sorted(views.iterdir(), key=lambda entry: entry.name):
        if script.name.endswith(".sql"):
            run_script(connection, script.read_text(encoding="utf-8"))


def _grant(connection: Connection) -> None:
    statements = queries.load(_PACKAGE, "roles.sql")
    run_script(connection, statements["grant_worker"])
    run_script(connection, statements["grant_operator"])
    run_script(connection, statements["grant_readers"])
