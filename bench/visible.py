"""From a POST to the first answer of query-api that has the event, at a steady rate.

An open model: every send has its moment before the round begins, and does not wait for those before it. What is late counts
from that moment, so that a system that stalls cannot slow down the clock that measures it. Once each POST has ten events, as a page
sends them, and once a single one. Of one event in a hundred the receipt is asked for until it says `stored`.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from uuid import UUID

import psycopg

from backlog import PARENTS, event
from draining import stored
from http_line import Line, get, post
from machine import calibration_s
from memory import watching
from own_stack import own_stack, superuser
from results import Bar, Figure, Row, percentile
from settings import PER_SECOND, RUNS, STEADY_S
from telling import told
from tillstream.contracts.ids import new_id
from tillstream_native.places import Ports

DOORS = 64  # connections to ingest-api
READERS = 32  # connections to query-api
SIZES = (10, 1)  # events of a POST
PROBED = 100  # one event in so many
ASK_AGAIN_S = 0.01
WITHIN_S = 30
WARM_S = 3
MS = 1_000


def schedule(per_second: float, seconds: float) -> list[float]:
    """The moments of all sends, in seconds from the beginning of a round."""
    return [number / per_second for number in range(round(per_second * seconds))]


def measure() -> list[Row]:
    """One row: the median and the 99th of a hundred, per round."""
    figures: list[Figure] = []
    with own_stack() as stack, superuser(stack) as connection, watching(stack) as watch:
        connection.execute(PARENTS)
        for size in SIZES:
            moments = schedule(PER_SECOND / size, STEADY_S)
            send_and_see(stack.ports, connection, schedule(PER_SECOND / size, WARM_S), size)
            found: dict[str, list[float]] = {"p50_ms": [], "p99_ms": [], "waited_p99_ms": [], "additions": []}
            for _ in range(RUNS):
                found["additions"].append(calibration_s())
                seen, waited = send_and_see(stack.ports, connection, moments, size)
                found["p50_ms"].append(percentile(seen, 0.5) * MS)
                found["p99_ms"].append(percentile(seen, 0.99) * MS)
                found["waited_p99_ms"].append(percentile(waited, 0.99) * MS)
                told(f"visible, {size} a POST", **{name: values[-1] for name, values in found.items()})
            figures += [
                Figure(f"p50, {size} a POST", "ms", found["p50_ms"]),
                Figure(f"p99, {size} a POST", "ms", found["p99_ms"], Bar.BELOW, 250),
                Figure(f"before the POST left, p99, {size} a POST", "ms", found["waited_p99_ms"]),
                Figure(f"3M additions, {size} a POST", "s", found["additions"]),
            ]
    settings = f"{PER_SECOND:,} events a second, {STEADY_S} s, {RUNS} runs; open model"
    return [Row("visible", "POST to visible in query-api at a steady rate", settings, figures, watch.found())]


def send_and_see(
    ports: Ports, connection: psycopg.Connection, moments: Sequence[float], size: int, probed: int = PROBED
) -> tuple[list[float], list[float]]:
    """One round, in which one event in `probed` is asked for: seconds until events were visible, and until POSTs left; each event is in the table then, those of which nobody asked too."""
    before = stored(connection)
    found = asyncio.run(_Round(ports, size, probed).run(moments))
    deadline = time.monotonic() + WITHIN_S
    while stored(connection) < before + len(moments) * size:
        assert time.monotonic() < deadline, "some events never became visible"
        time.sleep(ASK_AGAIN_S)
    return found


class _Round:
    """One round of sends, over connections of its own."""

    def __init__(self, ports: Ports, size: int, probed: int) -> None:
        self._ports = ports
        self._probed = probed
        self._size = size
        self._doors: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        self._readers: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        self._seen: list[float] = []
        self._waited: list[float] = []

    async def run(self, moments: Sequence[float]) -> tuple[list[float], list[float]]:
        """Seconds from the intended moment: until the event was visible, and until its POST left."""
        lines = [
            *await _open(self._doors, self._ports.ingest, DOORS),
            *await _open(self._readers, self._ports.query, READERS),
        ]
        rng = random.Random(1)
        ids = [[new_id() for _ in range(self._size)] for _ in moments]
        requests = [
            post("/ingest/events", json.dumps([event(rng, one) for one in of_one]).encode()) for of_one in ids
        ]
        began = time.monotonic() + 0.1
        async with asyncio.timeout(moments[-1] + WITHIN_S), asyncio.TaskGroup() as group:
            for number, moment in enumerate(moments):
                intended = began + moment
                await asyncio.sleep(max(0.0, intended - time.monotonic()))
                is_probed = number % (self._probed // self._size) == 0
                group.create_task(
                    self._send(intended, requests[number], ids[number][-1] if is_probed else None)
                )
        for line in lines:
            line.close()
        return self._seen, self._waited

    async def _send(self, intended: float, request: bytes, probed: UUID | None) -> None:
        door = await self._doors.get()
        self._waited.append(time.monotonic() - intended)
        status, body = await door.exchange(request)
        self._doors.put_nowait(door)
        assert status == 202, body
        if probed is not None:
            await self._see(intended, get(f"/events/{probed}/receipt"))

    async def _see(self, intended: float, request: bytes) -> None:
        reader = await self._readers.get()
        while True:
            _, body = await reader.exchange(request)
            if json.loads(body)["status"] == "stored":
                break
            await asyncio.sleep(ASK_AGAIN_S)
        self._seen.append(time.monotonic() - intended)
        self._readers.put_nowait(reader)


async def _open(queue: asyncio.LifoQueue[Line], port: int, count: int) -> list[Line]:
    lines = [Line(port) for _ in range(count)]
    for line in lines:
        await line.open()
        queue.put_nowait(line)
    return lines
