"""The door beside a plain Flask service (`peers/flask_ingest.py`), under the same load from `wrk`, on a stack of their own.

    make bench-ingest                                   (ROUNDS=5 SECONDS=5 PEER_FSYNC=off)

A round measures door and peer one right after the other, so that a busy neighbour meets both; the rest of the shop is
stopped. Neither store waits for its disk, since what one broker acknowledges is in its page cache too; PEER_FSYNC=on lets
PostgreSQL wait for it, as it does by default.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backlog import PRODUCTS, TYPES, USERS
from machine import calibration_s
from memory import Watch, watching
from own_stack import cache, make_peer_database, own_stack, peer_dsn, switched_off
from peers.environment import peer_programs
from results import Bar, Figure, Row, ratios
from settings import PEER_FSYNC, RUNS, SECONDS
from telling import told
from tillstream_native.places import ETL_WORKER, FILE_LOADER, FILE_WATCHER, QUERY_API
from tillstream_native.processes import Child, Program
from tillstream_native.stack import Stack
from tillstream_native.system import LOCALHOST, CannotRun

PEERS = Path(__file__).parent / "peers"
DOOR = "ingest-api"
# The peers, and what makes each of them.
FLASK, FLASK_KEPT = "Flask", "Flask with a connection kept"
PEER_CONNECTIONS = {FLASK: "request", FLASK_KEPT: "kept"}
PEER_PORT = 8101
SEED = 1
SECONDS_OF_30_DAYS = 30 * 86_400
OTHERS = (ETL_WORKER, FILE_LOADER, FILE_WATCHER, QUERY_API)
STOP_WITHIN_S = 60
START_WITHIN_S = 60
WARM_S = 2


@dataclass(frozen=True, slots=True)
class Load:
    """What is posted: `bodies` different bodies in turn, of `events` events each; and what is asked of the door."""

    name: str
    work: str
    events: int
    bodies: int
    connections: int
    unit: str
    at_least: float
    p99_below_ms: float
    times_the_peer: float


LOADS = (
    Load("ingest-batches", "ingest, batches of 500 events, 4 connections", 500, 40, 4, "events/s", 75_000, 100, 1.3),
    Load("ingest-singles", "ingest, single POSTs, 64 connections", 1, 1_000, 64, "requests/s", 3_500, 60, 3),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One run of wrk."""

    per_second: float
    p99_ms: float
    failed: float


def measure() -> list[Row]:
    """Two rows: batches, and single POSTs."""
    with ExitStack() as opened:
        stack = opened.enter_context(own_stack())
        place = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="tillstream-bodies-")))
        stack.supervisor.stop(OTHERS, STOP_WITHIN_S)
        connection = opened.enter_context(make_peer_database(stack))
        if PEER_FSYNC == "off":
            opened.enter_context(switched_off(connection, "fsync"))
        ports = {DOOR: stack.ports.ingest}
        for port, name in enumerate(PEER_CONNECTIONS, PEER_PORT + stack.ports.offset):
            opened.enter_context(_peer(stack, place, name, port))
            ports[name] = port
        return [_compare(load, _write_bodies(place / load.name, load), ports, stack) for load in LOADS]


def _compare(load: Load, folder: Path, ports: Mapping[str, int], stack: Stack) -> Row:
    runs: dict[str, list[Run]] = {name: [] for name in ports}
    additions: list[float] = []
    with watching(stack) as watch:
        for port in ports.values():
            _wrk(port, load, folder, WARM_S)
        for _ in range(RUNS):
            for name, port in ports.items():
                runs[name].append(run := _wrk(port, load, folder, SECONDS))
                told(f"{load.name}, {name}", per_second=run.per_second, p99_ms=run.p99_ms, failed=run.failed)
            additions.append(calibration_s())
    return _row(load, runs, additions, watch)


def _row(load: Load, runs: Mapping[str, list[Run]], additions: list[float], watch: Watch) -> Row:
    rates = {name: [run.per_second for run in some] for name, some in runs.items()}
    p99 = {name: [run.p99_ms for run in some] for name, some in runs.items()}
    failed = {f"{name}, failed requests": [run.failed for run in some] for name, some in runs.items()}
    beside = {name: ratios(rates[DOOR], rates[name]) for name in PEER_CONNECTIONS}
    figures = (
        Figure(DOOR, load.unit, rates[DOOR], Bar.AT_LEAST, load.at_least),
        Figure(f"{DOOR}, p99", "ms", p99[DOOR], Bar.BELOW, load.p99_below_ms),
        *(Figure(name, load.unit, rates[name]) for name in PEER_CONNECTIONS),
        *(Figure(f"{name}, p99", "ms", p99[name]) for name in PEER_CONNECTIONS),
        *(Figure(name, "", some) for name, some in failed.items()),
        *(
            Figure(f"{DOOR} beside {name}", "×", beside[name], Bar.AT_LEAST, load.times_the_peer)
            for name in PEER_CONNECTIONS
        ),
        Figure("3M additions", "s", additions),
    )
    settings = f"wrk, {SECONDS} s, {RUNS} runs; the peer's fsync is {PEER_FSYNC}"
    return Row(load.name, f"{load.work}, beside Flask", settings, figures, watch.found())


def _wrk(port: int, load: Load, folder: Path, seconds: int) -> Run:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise CannotRun("This needs wrk; distributions have a package of that name.")
    options = (
        "-t1",
        f"-c{load.connections}",
        f"-d{seconds}s",
        "--timeout",
        "20s",
        "-s",
        str(PEERS / "post.lua"),
    )
    done = subprocess.run(
        [wrk, *options, f"http://{LOCALHOST}:{port}/ingest/events"],
        env={**os.environ, "FOLDER": str(folder), "COUNT": str(load.bodies)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    return Run(said["per_second"] * load.events, said["p99_ms"], said["failed"])


def _write_bodies(folder: Path, load: Load) -> Path:
    rng = random.Random(SEED)
    folder.mkdir()
    for number in range(load.bodies):
        events = [_event(rng) for _ in range(load.events)]
        (folder / f"{number}.json").write_text(json.dumps(events if load.events > 1 else events[0]))
    return folder


def _event(rng: random.Random) -> dict[str, object]:
    """As a shop's page sends it: without an id, so that door and peer both make one."""
    moment = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(
        seconds=rng.randrange(SECONDS_OF_30_DAYS * 1_000) / 1_000
    )
    return {
        "user_id": rng.randint(1, USERS),
        "event_type": rng.choice(TYPES),
        "product_id": rng.randint(1, PRODUCTS),
        "event_timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
    }


@contextmanager
def _peer(stack: Stack, place: Path, name: str, port: int) -> Iterator[None]:
    gunicorn = str(peer_programs(cache()) / "gunicorn")
    command = (
        gunicorn,
        *("--workers", "2"),
        *("--bind", f"{LOCALHOST}:{port}"),
        *("--chdir", str(PEERS)),
        "flask_ingest:app",
    )
    environment = {"PEER_DSN": peer_dsn(stack), "PEER_CONNECTION": PEER_CONNECTIONS[name]}
    child = Child(Program(f"peer-{PEER_CONNECTIONS[name]}", command, place, (port,), environment), place)
    child.start()
    try:
        child.wait_until(lambda: _listens(port), START_WITHIN_S)
        yield
    finally:
        child.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOCALHOST, port)) == 0
