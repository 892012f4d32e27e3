"""The migrated database that every test starts from."""

import psycopg
import pytest

from support.postgres import Database

pytestmark = pytest.mark.integration


def test_each_test_gets_the_declared_tables_empty(database: Database) -> None:
    with psycopg.connect(database.owner_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM shop.users").fetchone() == (0,)


def test_each_role_gets_in_with_its_own_password(database: Database) -> None:
    dsns = (
        database.owner_dsn,
        database.worker_dsn,
        database.operator_dsn,
        database.reader_dsn,
        database.reports_dsn,
    )
    found = []
    for dsn in dsns:
        with psycopg.connect(dsn) as connection:
            found.append(connection.execute("SELECT current_user").fetchone())
    assert found == [
        ("tillstream_owner",),
        ("tillstream_worker",),
        ("tillstream_operator",),
        ("tillstream_reader",),
        ("tillstream_reports",),
    ]
