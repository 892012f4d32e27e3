"""A stack of the benchmark's own, in a temporary folder, gone when it is over."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tillstream_native.places import REPOSITORY, Places, Ports
from tillstream_native.stack import Stack

PORT_OFFSET = 700
ENTERABLE = 0o711


@contextmanager
def own_stack() -> Iterator[Stack]:
    """Up and empty. Takes another port offset from BENCH_PORT_OFFSET where something stands on these ports."""
    place = Path(tempfile.mkdtemp(prefix="tillstream-bench-"))
    place.chmod(ENTERABLE)
    ports = Ports(int(os.environ.get("BENCH_PORT_OFFSET") or PORT_OFFSET))
    cache = Path(os.environ.get("CACHE") or REPOSITORY / ".cache")
    stack = Stack(Places(place / "state", cache), ports, {}, lambda _: None)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(place, ignore_errors=True)


def superuser(stack: Stack) -> psycopg.Connection:
    """A connection that may do everything, in the shop's database."""
    return psycopg.connect(stack.dsn("postgres"), autocommit=True)
