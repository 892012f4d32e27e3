"""A stack of the benchmark's own, in a temporary folder, gone when it is over."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tillstream_native.places import REPOSITORY, Places, Ports
from tillstream_native.stack import Stack

PORT_OFFSET = 700
ENTERABLE = 0o711
PEER_DATABASE = "peer"
PEER_SCHEMA = Path(__file__).parent / "peers" / "events.sql"


@contextmanager
def own_stack() -> Iterator[Stack]:
    """Up and empty. Takes another port offset from BENCH_PORT_OFFSET where something stands on these ports."""
    signal.signal(signal.SIGTERM, _end)
    place = Path(tempfile.mkdtemp(prefix="tillstream-bench-"))
    place.chmod(ENTERABLE)
    ports = Ports(int(os.environ.get("BENCH_PORT_OFFSET") or PORT_OFFSET))
    stack = Stack(Places(place / "state", cache()), ports, {}, lambda _: None)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(place, ignore_errors=True)


def _end(*_: object) -> None:
    """Leave through every `finally`, so that no server is left behind; a second signal must not cut those short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("ended by a signal")


def cache() -> Path:
    return Path(os.environ.get("CACHE") or REPOSITORY / ".cache").absolute()


def bootstrap(stack: Stack) -> str:
    return f"127.0.0.1:{stack.ports.kafka}"


def superuser(stack: Stack) -> psycopg.Connection:
    """A connection that may do everything, in the shop's database."""
    return psycopg.connect(stack.dsn("postgres"), autocommit=True)


def scalar(connection: psycopg.Connection, statement: str) -> int:
    """What a query says that has one row with one whole number."""
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def peer_dsn(stack: Stack) -> str:
    """The superuser's way into the peers' database."""
    return f"{stack.dsn('postgres').rpartition('/')[0]}/{PEER_DATABASE}"


def make_peer_database(stack: Stack, schema: Path = PEER_SCHEMA) -> psycopg.Connection:
    """A database beside the shop's, in the same server, with the tables that a peer writes into."""
    with superuser(stack) as connection:
        connection.execute(f"CREATE DATABASE {PEER_DATABASE}")
    peer = psycopg.connect(peer_dsn(stack), autocommit=True)
    peer.execute(schema.read_bytes())
    return peer


@contextmanager
def switched_off(connection: psycopg.Connection, *names: str) -> Iterator[None]:
    """Settings of PostgreSQL that are off meanwhile, such as `fsync`; all is on the disk afterwards."""
    for name in names:
        connection.execute(f"ALTER SYSTEM SET {name} = off")
    connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in names:
            connection.execute(f"ALTER SYSTEM RESET {name}")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CHECKPOINT")
