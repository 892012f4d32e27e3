"""A backlog of events that the worker finds when it starts, and how fast it takes it."""

import asyncio
import time

import psycopg

from backlog import MAKERS, fill, moved_to
from own_stack import bootstrap, scalar
from tillstream_native.places import ETL_WORKER
from tillstream_native.stack import Stack

WITHIN_S = 600
POLL_S = 0.02


def pile_up(stack: Stack, events: int, ids: str) -> None:
    """Stop the worker, and let `events` events gather in the topic; `ids` is `uuid7` or `random`."""
    stack.supervisor.stop((ETL_WORKER,), WITHIN_S)
    asyncio.run(fill(bootstrap(stack), events, MAKERS[ids]))


def drain(stack: Stack, connection: psycopg.Connection, events: int) -> float:
    """Events per second from the first batch that is committed to the last; each event is in the table then."""
    connection.execute("CHECKPOINT")
    before, start = stored(connection), moved_to(connection)
    stack.supervisor.start((ETL_WORKER,))
    deadline = time.monotonic() + WITHIN_S
    first: tuple[float, int] | None = None
    while (moved := moved_to(connection)) < start + events:
        now = time.monotonic()
        if first is None and moved > start:
            first = now, moved
        assert now < deadline, "the backlog was not drained in time"
        time.sleep(POLL_S)
    ended = time.monotonic()
    assert first is not None, "one batch took it all: take more events"
    assert stored(connection) == before + events, "some events are not in the table"
    return (moved - first[1]) / (ended - first[0])


def stored(connection: psycopg.Connection) -> int:
    """How many events are in the table, read from its beginning to its end.

    A count by an index would put the whole of that index where the one that the worker needs next was.
    """
    with connection.transaction():
        for way in ("indexonlyscan", "indexscan", "bitmapscan"):
            connection.execute(f"SET LOCAL enable_{way} = off")
        return scalar(connection, "SELECT count(*) FROM shop.events")
