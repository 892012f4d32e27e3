"""The door beside a plain Flask service (`peers/flask_ingest.py`), under the same load from `wrk`, on a stack of their own.

    make bench-ingest                                   (ROUNDS=5 SECONDS=5 PEER_FSYNC=off)

A round measures door and peer one right after the other, so that a busy neighbour meets both, and the loop of additions
beside each figure says how busy it was: compare ratios, not machines. Neither store waits for its disk, since what one broker
acknowledges is in its page cache too; PEER_FSYNC=on lets the peer's PostgreSQL wait for it, as it does by default.
"""

import asyncio
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg

from peers.environment import peer_programs
from support.kafka import CACHE, run_kafka
from support.ports import free_port
from support.postgres import run_postgres
from tillstream.contracts.topics import TOPICS
from tillstream.kafka.topics import ensure_topics
from tillstream_native.processes import Child, Program
from tillstream_native.system import LOCALHOST

PEERS = Path(__file__).parent / "peers"
SEED = 1
USERS, PRODUCTS = 10_000, 1_000
SECONDS_OF_30_DAYS = 30 * 86_400
TYPES = ("page_view", "page_view", "page_view", "add_to_cart", "purchase")
ADDITIONS = 3_000_000
START_WITHIN_S = 60
TOPICS_WITHIN_S = 30
WARM_S = 2
ROUNDS = int(os.environ.get("ROUNDS") or 5)
PEER_FSYNC = "on" if os.environ.get("PEER_FSYNC") == "on" else "off"
SECONDS = int(os.environ.get("SECONDS") or 5)


@dataclass(frozen=True, slots=True)
class Load:
    """What is posted: `bodies` different bodies in turn, of `events` events each."""

    name: str
    events: int
    bodies: int
    connections: int
    unit: str


LOADS = (
    Load("batches of 500 events, 4 connections", 500, 40, 4, "events/s"),
    Load("single POSTs, 64 connections", 1, 1_000, 64, "requests/s"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One run of wrk. `busy_s` is how long the additions took around it."""

    per_second: float
    p99_ms: float
    failed: int
    busy_s: float


def main() -> None:
    """Prints the figures of every round, and the medians at the end."""
    with ExitStack() as opened:
        place = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="tillstream-bench-")))
        place.chmod(0o755)  # PostgreSQL has a user of its own when root runs this
        door = opened.enter_context(_door(place))
        peer = opened.enter_context(_peer(place))
        for load in LOADS:
            folder = _write_bodies(place / f"bodies-{load.events}", load)
            for child in (door, peer):
                _wrk(child, load, folder, WARM_S)
            _compare(load, folder, door, peer)
        for child in (door, peer):
            print(f"{child.program.name}: {_rss(child) / 1e6:.0f} MB resident after all of it")


def _compare(load: Load, folder: Path, door: Child, peer: Child) -> None:
    figures: dict[str, list[Figure]] = {"door": [], "peer": []}
    for number in range(ROUNDS):
        for name, child in (("door", door), ("peer", peer)):
            figure = _measure(child, load, folder)
            figures[name].append(figure)
            print(f"  round {number + 1}, {name}: {_told(figure, load)}", flush=True)
    ratios = [
        mine.per_second / other.per_second
        for mine, other in zip(figures["door"], figures["peer"], strict=True)
    ]
    print(f"{load.name}, medians of {ROUNDS}:")
    for name, each in figures.items():
        print(f"  {name}: {_told(_median(each), load)}")
    print(f"  ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


def _measure(child: Child, load: Load, folder: Path) -> Figure:
    before = _additions_s()
    said = _wrk(child, load, folder, SECONDS)
    busy = (before + _additions_s()) / 2
    return Figure(said["per_second"] * load.events, said["p99_ms"], int(said["failed"]), busy)


def _median(figures: list[Figure]) -> Figure:
    return Figure(
        statistics.median(each.per_second for each in figures),
        statistics.median(each.p99_ms for each in figures),
        sum(each.failed for each in figures),
        statistics.median(each.busy_s for each in figures),
    )


def _told(figure: Figure, load: Load) -> str:
    return (
        f"{figure.per_second:,.0f} {load.unit}, p99 {figure.p99_ms:.0f} ms, {figure.failed} failed"
        f" (3M additions: {figure.busy_s:.2f} s)"
    )


def _wrk(child: Child, load: Load, folder: Path, seconds: int) -> dict[str, float]:
    url = f"http://{LOCALHOST}:{child.program.ports[0]}/ingest/events"
    options = (
        "-t1",
        f"-c{load.connections}",
        f"-d{seconds}s",
        "--timeout",
        "20s",
        "-s",
        str(PEERS / "post.lua"),
    )
    environment = {**os.environ, "FOLDER": str(folder), "COUNT": str(load.bodies)}
    done = subprocess.run(
        [_program("wrk"), *options, url], env=environment, capture_output=True, text=True, check=True
    )
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        sys.exit(f"This needs {name}; distributions have a package of that name.")
    return found


def _additions_s() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(ADDITIONS):
        total += number
    return time.perf_counter() - began


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
def _door(place: Path) -> Iterator[Child]:
    servers = run_kafka(place)
    kafka = next(servers)
    try:
        asyncio.run(ensure_topics(kafka.bootstrap, list(TOPICS), deadline_s=TOPICS_WITHIN_S))
        port = free_port()
        environment = {
            "TILLSTREAM_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "TILLSTREAM_INGEST_PORT": str(port),
            "TILLSTREAM_OPS_PORT": str(free_port()),
        }
        command = (sys.executable, "-m", "ingest_api")
        with _running(Program("door", command, place, (port,), environment), place) as child:
            yield child
    finally:
        servers.close()  # type: ignore[attr-defined] # it is a generator


@contextmanager
def _peer(place: Path) -> Iterator[Child]:
    servers = run_postgres(place)
    postgres = next(servers)
    try:
        dsn = postgres.dsn("tillstream")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute((PEERS / "events.sql").read_bytes())
            connection.execute(f"ALTER SYSTEM SET fsync = {PEER_FSYNC}")
            connection.execute("SELECT pg_reload_conf()")
        port = free_port()
        gunicorn = str(peer_programs(CACHE) / "gunicorn")
        command = (
            gunicorn,
            "--workers",
            "2",
            "--bind",
            f"{LOCALHOST}:{port}",
            "--chdir",
            str(PEERS),
            "flask_ingest:app",
        )
        with _running(Program("peer", command, place, (port,), {"PEER_DSN": dsn}), place) as child:
            yield child
    finally:
        servers.close()  # type: ignore[attr-defined] # it is a generator


@contextmanager
def _running(program: Program, place: Path) -> Iterator[Child]:
    child = Child(program, place)
    child.start()
    try:
        child.wait_until(lambda: _listens(program.ports[0]), START_WITHIN_S)
        yield child
    finally:
        child.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOCALHOST, port)) == 0


def _rss(child: Child) -> int:
    assert child.pid is not None
    process = psutil.Process(child.pid)
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))


if __name__ == "__main__":
    main()
