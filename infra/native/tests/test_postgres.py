"""PostgreSQL as the tests and `make up` run it."""

import psycopg
import pytest

from support.postgres import PostgresServer

pytestmark = pytest.mark.integration


def test_cluster_has_checksums_utf8_and_builtin_locale(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.dsn()) as connection:
        found = connection.execute(
            """
            SELECT current_setting('data_checksums'), current_setting('server_encoding'), datlocprovider::text, datlocale,
                   current_setting('synchronous_commit'), current_setting('listen_addresses')
            FROM pg_database WHERE datname = current_database()
            """
        ).fetchone()
    assert found == ("on", "UTF8", "b", "C.UTF-8", "on", "127.0.0.1")


def test_wrong_password_is_refused(postgres_server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres_server.dsn().replace("only-for-tests", "guess"))


def test_committed_data_survives_a_killed_server(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE survivor AS SELECT 42 AS answer")
    before = postgres_server.pid
    postgres_server.kill()
    postgres_server.start()
    assert postgres_server.pid != before
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        assert connection.execute("SELECT answer FROM survivor").fetchone() == (42,)
        connection.execute("DROP TABLE survivor")


def test_preparing_and_creating_again_keep_what_is_there(postgres_server: PostgresServer) -> None:
    postgres_server.cluster.create()
    postgres_server.cluster.prepare()
    postgres_server.cluster.prepare()
    with psycopg.connect(postgres_server.dsn("tillstream", "tillstream_owner")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("tillstream_owner",)
