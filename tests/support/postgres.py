"""Fixtures: a real PostgreSQL 18 per test process, and a migrated database per test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from support.ports import free_port
from tillstream.db import migrate as migrations
from tillstream_native.postgres import OWNER, ROLES, SUPERUSER, Cluster, find_install
from tillstream_native.processes import Child
from tillstream_native.system import server_user

READY_WITHIN_S = 30
TEMPLATE = "tillstream"
PASSWORD = "only-for-tests"
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
}  # a killed server loses nothing by it


class PostgresServer:
    """A PostgreSQL that a test may stop, start and kill; it keeps its port and its data."""

    def __init__(self, cluster: Cluster, place: Path) -> None:
        self.cluster = cluster
        self._child = Child(cluster.program(), place)

    @property
    def port(self) -> int:
        return self.cluster.port

    @property
    def pid(self) -> int | None:
        """The postmaster's, or None while it is down."""
        return self._child.pid

    @property
    def log(self) -> Path:
        return self._child.log

    def dsn(self, dbname: str = "postgres", user: str = SUPERUSER) -> str:
        return self.cluster.dsn(dbname, user)

    def start(self) -> None:
        """Start it and wait until it accepts sessions."""
        self._child.start()
        self._child.wait_until(self.cluster.ready, READY_WITHIN_S)

    def stop(self) -> None:
        """A fast shutdown: every session is ended."""
        self._child.stop()

    def kill(self) -> None:
        """A crash."""
        self._child.kill()


@dataclass(frozen=True, slots=True)
class Database:
    """One migrated, empty database, and a way in for every role."""

    server: PostgresServer
    name: str

    @property
    def superuser_dsn(self) -> str:
        return self.server.dsn(self.name)

    @property
    def owner_dsn(self) -> str:
        return self.server.dsn(self.name, "tillstream_owner")

    @property
    def worker_dsn(self) -> str:
        return self.server.dsn(self.name, "tillstream_worker")

    @property
    def operator_dsn(self) -> str:
        return self.server.dsn(self.name, "tillstream_operator")

    @property
    def reader_dsn(self) -> str:
        return self.server.dsn(self.name, "tillstream_reader")

    @property
    def reports_dsn(self) -> str:
        return self.server.dsn(self.name, "tillstream_reports")


def run_postgres(place: Path) -> Iterator[PostgresServer]:
    """A new cluster in a folder, running until the caller goes on."""
    user = server_user()
    cluster = Cluster(
        place=place / "postgres",
        install=find_install(user, place / "pginstall"),
        port=free_port(),
        passwords=dict.fromkeys((SUPERUSER, *ROLES), PASSWORD),
        user=user,
    )
    cluster.create()
    cluster.configure(FAST)
    server = PostgresServer(cluster, place)
    try:
        server.start()
        cluster.prepare()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_server(server_place: Path) -> Iterator[PostgresServer]:
    """PostgreSQL for this test process; whoever stops it starts it again."""
    yield from run_postgres(server_place)


@pytest.fixture(scope="session")
def template_database(postgres_server: PostgresServer) -> str:
    """The name of a database that was migrated once and that nobody connects to."""
    migrate(postgres_server, TEMPLATE)
    return TEMPLATE


@pytest.fixture
def database(postgres_server: PostgresServer, template_database: str) -> Iterator[Database]:
    """A fresh copy of the migrated database."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy OWNER {}")
        names = (sql.Identifier(each) for each in (name, template_database, OWNER))
        connection.execute(statement.format(*names))
    yield Database(postgres_server, name)
    if postgres_server.pid is None:
        postgres_server.start()
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def migrate(server: PostgresServer, dbname: str, shop_timezone: str = "UTC") -> None:
    """Bring a database to the declared schema, as `tillstream migrate` does."""
    passwords = {role: PASSWORD for role in ROLES if role != OWNER}
    migrations.migrate(server.dsn(dbname, OWNER), shop_timezone=ZoneInfo(shop_timezone), passwords=passwords)
