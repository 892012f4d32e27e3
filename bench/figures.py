"""The figures of one running stack: latency, rate of the door, rate of the worker, memory.

    make up figures

Everything runs on the cores that the stack runs on, this client included; quote ratios, not single numbers. It posts some
hundred thousand events of user 1, so use a state of its own: STATE=/tmp/bench PORT_OFFSET=500, for `make up` and for this.
"""

import asyncio
import json
import os
import statistics
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path

import psutil
import psycopg

from backlog import moved_to
from http_line import Line, post
from tillstream_native.places import ETL_WORKER, REPOSITORY, Places, Ports
from tillstream_native.stack import Stack

SINGLES = 1_000
BATCH = 500
BATCHES = 400
CONNECTIONS = 4
BACKLOG_BATCHES = 400
POLL_S = 0.05
WITHIN_S = 300
EVENT = {"user_id": 1, "event_type": "page_view", "product_id": 1, "event_timestamp": "2024-06-01T12:00:00Z"}


def main() -> None:
    """Prints one line per figure."""
    state = Path(os.environ.get("STATE") or REPOSITORY / ".local")
    ports = Ports(int(os.environ.get("PORT_OFFSET") or 0))
    stack = Stack(Places(state.absolute(), REPOSITORY / ".cache"), ports, {}, print)
    print(_memory(stack))
    seconds = sorted(_seen_after_s(ports) for _ in range(SINGLES))
    p99 = seconds[int(len(seconds) * 0.99)]
    print(f"POST to visible, {SINGLES} single events: p50 {_ms(statistics.median(seconds))}, p99 {_ms(p99)}")
    rate, slowest = asyncio.run(_post(ports.ingest, BATCHES))
    print(f"ingest, batches of {BATCH}, {CONNECTIONS} connections: {rate:,.0f} events/s, p99 {_ms(slowest)}")
    with psycopg.connect(stack.dsn("tillstream_worker"), autocommit=True) as connection:
        print(f"worker, backlog of {BACKLOG_BATCHES * BATCH:,}: {_drain(stack, connection):,.0f} events/s")
    print(_memory(stack))


def _seen_after_s(ports: Ports) -> float:
    """From the first byte of a POST to the first receipt that says `stored`."""
    began = time.perf_counter()
    door = HTTPConnection("127.0.0.1", ports.ingest, timeout=WITHIN_S)
    door.request("POST", "/ingest/events", json.dumps(EVENT), {"content-type": "application/json"})
    event_id = json.load(door.getresponse())["event_ids"][0]
    door.close()
    reader = HTTPConnection("127.0.0.1", ports.query, timeout=WITHIN_S)
    while True:
        reader.request("GET", f"/events/{event_id}/receipt")
        if json.load(reader.getresponse())["status"] == "stored":
            reader.close()
            return time.perf_counter() - began
        assert time.perf_counter() - began < WITHIN_S, "the event never became visible"


async def _post(port: int, batches: int) -> tuple[float, float]:
    """Events per second and the p99 of a request, over all connections."""
    request = post("/ingest/events", json.dumps([EVENT] * BATCH).encode())
    began = time.perf_counter()
    each = [_client(port, request, batches // CONNECTIONS) for _ in range(CONNECTIONS)]
    seconds: list[float] = sorted(second for of_one in await asyncio.gather(*each) for second in of_one)
    rate = len(seconds) * BATCH / (time.perf_counter() - began)
    return rate, seconds[int(len(seconds) * 0.99)]


async def _client(port: int, request: bytes, times: int) -> Sequence[float]:
    line = Line(port)
    await line.open()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        status, body = await line.exchange(request)
        assert status == 202, body
        seconds.append(time.perf_counter() - began)
    line.close()
    return seconds


def _drain(stack: Stack, connection: psycopg.Connection) -> float:
    """Events per second from the first batch to the last, after the worker was down while the backlog grew."""
    _wait_until_still(connection)
    stack.supervisor.stop((ETL_WORKER,), WITHIN_S)
    start = moved_to(connection)
    asyncio.run(_post(stack.ports.ingest, BACKLOG_BATCHES))
    stack.supervisor.start((ETL_WORKER,))
    deadline = time.monotonic() + WITHIN_S
    first_at, first = 0.0, start
    while (moved := moved_to(connection)) < start + BACKLOG_BATCHES * BATCH:
        if first == start and moved > start:
            first_at, first = time.monotonic(), moved
        assert time.monotonic() < deadline, "the backlog was not drained in time"
        time.sleep(POLL_S)
    return (start + BACKLOG_BATCHES * BATCH - first) / (time.monotonic() - first_at)


def _wait_until_still(connection: psycopg.Connection) -> None:
    before = -1
    while before != (now := moved_to(connection)):
        before = now
        time.sleep(2)


def _memory(stack: Stack) -> str:
    """RSS is what `ps` shows; it counts PostgreSQL's shared buffers once per back end. USS counts no shared page at all."""
    pids = [part.pid for part in stack.status() if part.pid is not None]
    processes = [
        p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
    ]
    each = [process.memory_full_info() for process in processes]
    rss, uss = sum(one.rss for one in each), sum(one.uss for one in each)
    return f"memory of all {len(each)} processes: {rss / 1e6:.0f} MB resident (sum of RSS), {uss / 1e6:.0f} MB unique (sum of USS)"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


if __name__ == "__main__":
    main()
