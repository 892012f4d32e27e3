"""The system under test: the native stack's own parts under its own supervisor, with wires where a network would be."""

import asyncio
import os
import re
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import psutil

from faults.disks import Disks
from faults.roots.crashes import EXIT_CRASHED
from faults.wire import Wire
from support.kafka import CACHE
from support.ports import free_port, free_ports
from support.postgres import FAST
from tillstream.testing.waiting import eventually
from tillstream_native.class_archive import archive_classes
from tillstream_native.credentials import load_passwords, write_urls
from tillstream_native.kafka import Broker, fetch_jars
from tillstream_native.places import (
    ETL_WORKER,
    FILE_LOADER,
    FILE_WATCHER,
    INGEST_API,
    KAFKA,
    POSTGRES,
    QUERY_API,
    Places,
)
from tillstream_native.postgres import DATABASE, Cluster, find_install
from tillstream_native.processes import Program
from tillstream_native.readiness import problem, wait_until_ready
from tillstream_native.services import Services
from tillstream_native.supervision import RUNNING, Supervisor
from tillstream_native.system import LOCALHOST, server_user
from tillstream_native.tools import find_java

SECOND_WORKER = "etl-worker-2"
OURS = (INGEST_API, ETL_WORKER, QUERY_API, FILE_WATCHER, FILE_LOADER)
STOP_ORDER = (
    (INGEST_API, QUERY_API, FILE_WATCHER),
    (ETL_WORKER, SECOND_WORKER, FILE_LOADER),
    (KAFKA,),
    (POSTGRES,),
)
UP_WITHIN_S = 120.0
STOP_WITHIN_S = 90.0
TESTS = Path(__file__).parents[1]
LIMITS = {"max_connections": "40", "max_wal_size": "128MB", "min_wal_size": "32MB", "log_lock_waits": "on"}
# Impatient with files, so that a run of a few minutes has many of them, each of many chunks.
WATCHES = {"FILE_SCAN_S": "0.2", "FILE_STABLE_S": "0.2", "FILE_EMIT_AGAIN_S": "2"}
LOADS = {"FILE_SETTLE_S": "0.2", "FILE_CHUNK_ROWS": "20"}
CRASH_FILE = "CHAOS_CRASH_FILE"
PLANT = "CHAOS_PLANT"
# What supervisord writes of an end that the harness brought about: a kill, or a crash point.
ENDED_BY_US = ("terminated by SIGKILL", f"exit status {EXIT_CRASHED}")


@dataclass(frozen=True, slots=True)
class WiredBroker(Broker):
    """A broker with a door of its own for each wire: there it names the wire as its address, so that clients stay on it."""

    doors: Mapping[str, tuple[int, int]]  # name: (port, the wire's port)

    def configure(self) -> None:
        Broker.configure(self)
        plain = f"PLAINTEXT://{self.bootstrap},CONTROLLER://{LOCALHOST}:{self.controller_port}"
        here = [f"{name}://{LOCALHOST}:{port}" for name, (port, _) in self.doors.items()]
        told = [f"{name}://{LOCALHOST}:{wire}" for name, (_, wire) in self.doors.items()]
        kinds = [f"{name}:PLAINTEXT" for name in ("CONTROLLER", "PLAINTEXT", *self.doors)]
        with self.properties.open("a") as file:
            file.write(f"listeners={','.join([plain, *here])}\n")
            file.write(f"advertised.listeners={','.join([plain, *told])}\n")
            file.write(f"listener.security.protocol.map={','.join(kinds)}\n")


@dataclass(frozen=True, slots=True)
class Wires:
    """Where the network may be bad."""

    worker_to_database: Wire
    worker_to_broker: Wire
    ingest_to_broker: Wire

    @property
    def all(self) -> tuple[Wire, ...]:
        return self.worker_to_database, self.worker_to_broker, self.ingest_to_broker


class System:
    """PostgreSQL, Kafka and the five services, with a second worker in reserve. All state is in `place`.

    `plant` names a planted bug that one of the services is started with; see `faults.roots`.
    """

    def __init__(self, place: Path, disks: Disks, plant: str = "") -> None:
        self.places = Places(place / "state", CACHE)
        self.ports = free_ports()
        self.disks = disks
        self.supervisor = Supervisor(self.places)
        self.wires = Wires(Wire("worker to database"), Wire("worker to broker"), Wire("ingest to broker"))
        self._place = place
        self._plant = plant

    async def up(self) -> None:
        """Start everything and wait until it is ready. Raises CannotRun."""
        for wire in self.wires.all:
            await wire.open()
        await asyncio.to_thread(self._prepare)
        self.wires.worker_to_database.lead_to(self.ports.postgres)
        for wire, door in zip(self.wires.all[1:], self._broker.doors.values(), strict=True):
            wire.lead_to(door[0])
        await asyncio.to_thread(self._start_servers)
        await asyncio.to_thread(self.supervisor.start, OURS)
        await asyncio.to_thread(wait_until_ready, OURS, self.ports, self.places, UP_WITHIN_S)

    async def down(self) -> None:
        """Stop everything, also after half a start."""
        for wire in self.wires.all:
            await wire.close()
        if self.supervisor.running:
            for together in STOP_ORDER:
                await asyncio.to_thread(self.supervisor.stop, together, STOP_WITHIN_S)
            await asyncio.to_thread(self.supervisor.shutdown, STOP_WITHIN_S)

    @property
    def superuser_dsn(self) -> str:
        return self._cluster.dsn()

    @property
    def reader_dsn(self) -> str:
        return self._cluster.dsn(DATABASE, "tillstream_reader")

    @property
    def worker_dsn(self) -> str:
        """As the worker, but past its wire."""
        return self._cluster.dsn(DATABASE, "tillstream_worker")

    @property
    def bootstrap(self) -> str:
        """The way to the broker that no fault touches."""
        return self._broker.bootstrap

    @property
    def ingest_url(self) -> str:
        return f"http://{LOCALHOST}:{self.ports.ingest}"

    @property
    def query_url(self) -> str:
        return f"http://{LOCALHOST}:{self.ports.query}"

    def crash_file(self, part: str) -> Path:
        """Where one asks a part to end at a step; of both workers it is the same."""
        return self._place / f"{part}-crash-at"

    def pid(self, name: str) -> int | None:
        """Of a part that the supervisor runs now."""
        return self.supervisor.states()[name][1]

    async def send(self, name: str, number: signal.Signals, within_s: float = UP_WITHIN_S) -> int:
        """Send a signal to a part as soon as it runs; the pid of the process that got it. Raises AssertionError where none did."""
        pid = await eventually(lambda: self._sent(name, number), within_s)
        assert pid is not None
        return pid

    def _sent(self, name: str, number: signal.Signals) -> int | None:
        pid = self.pid(name)
        if pid is None:
            return None
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return None
        return pid

    async def running(self, name: str, within_s: float = UP_WITHIN_S) -> None:
        """Wait until the supervisor has started it."""
        await eventually(lambda: self.supervisor.states()[name][0] == RUNNING, within_s)

    def problems(self) -> list[str]:
        """What is not ready."""
        found = {name: problem(self.ports.ops(name)) for name in OURS}
        return [f"{name} {why}" for name, why in found.items() if why]

    def deadlocks(self) -> list[str]:
        """What PostgreSQL wrote about deadlocks that it had to break."""
        lines = self.places.log(POSTGRES).read_text(errors="replace").splitlines()
        return [line for line in lines if "deadlock detected" in line]

    def own_ends(self, name: str) -> list[str]:
        """How a part ended when nobody here had ended it, once per time."""
        return own_ends(self.places.log("supervisord").read_text(errors="replace"), name)

    def memory_mb(self, name: str) -> float | None:
        """Resident memory of a part that runs."""
        pid = self.pid(name)
        try:
            return psutil.Process(pid).memory_info().rss / 1e6 if pid else None
        except psutil.NoSuchProcess:
            return None

    def _prepare(self) -> None:
        self.places.create()
        user = server_user()
        self.disks.mount("logs", self.places.logs)
        self.disks.mount("kafka", self.places.kafka)
        self.disks.mount("data", self.places.data)
        self.places.create()  # again: what lay in the data folder is under the disk now
        place = self.places.postgres(user)
        place.mkdir(exist_ok=True)
        self.disks.mount("postgres", place)
        self.places.create_postgres(user)
        install = find_install(user, self.places.pginstall(user))
        self._cluster = Cluster(
            place, install, self.ports.postgres, load_passwords(self.places.secrets), user
        )
        java = find_java()
        jars = fetch_jars(CACHE, java)
        archive_classes(jars, java)
        doors = {
            "WORKER": (free_port(), self.wires.worker_to_broker.port),
            "INGEST": (free_port(), self.wires.ingest_to_broker.port),
        }
        self._broker = WiredBroker(
            self.places.kafka,
            jars,
            java,
            self.ports.kafka,
            self.ports.kafka_controller,
            doors,
        )
        self._cluster.create()
        self._cluster.configure({**FAST, **LIMITS})
        write_urls(self.places.secrets, self._cluster)
        self._broker.create()
        self._broker.configure()

    def _start_servers(self) -> None:
        services = Services(self.places, self.ports, {})
        self.supervisor.configure(
            [self._cluster.program(), self._broker.program(), *self._programs(services.programs())]
        )
        self.supervisor.launch()
        self.supervisor.start((POSTGRES, KAFKA))
        self._wait(self._cluster)
        self._cluster.prepare()
        services.run_command("migrate")
        self._wait(self._broker)
        services.run_command("topics")

    def _wait(self, server: Cluster | Broker) -> None:
        deadline = monotonic() + UP_WITHIN_S
        while not server.ready():
            assert monotonic() < deadline, f"{server} was not ready after {UP_WITHIN_S:g} s"

    def _programs(self, programs: Iterable[Program]) -> list[Program]:
        """All of ours on the wires, most from the harness's own composition roots, and the worker twice."""
        known = {program.name: program for program in programs}
        wired = {
            "TILLSTREAM_KAFKA_BOOTSTRAP": f"{LOCALHOST}:{self.wires.worker_to_broker.port}",
            "TILLSTREAM_DATABASE_URL_FILE": str(self._wired_url()),
        }
        door = {"TILLSTREAM_KAFKA_BOOTSTRAP": f"{LOCALHOST}:{self.wires.ingest_to_broker.port}"}
        worker = self._rooted(known[ETL_WORKER], "faults.roots.worker", wired)
        return [
            self._rooted(known[INGEST_API], "faults.roots.ingest", door),
            worker,
            _with(replace(worker, name=SECOND_WORKER), {"TILLSTREAM_OPS_PORT": str(free_port())}),
            known[QUERY_API],
            _with(known[FILE_WATCHER], {**door, **_settings(WATCHES)}),
            self._rooted(known[FILE_LOADER], "faults.roots.loader", {**wired, **_settings(LOADS)}),
        ]

    def _rooted(self, program: Program, module: str, environment: Mapping[str, str]) -> Program:
        python, minus_m, _ = program.command
        crash_file = str(self.crash_file(program.name))
        own = {"PYTHONPATH": str(TESTS), CRASH_FILE: crash_file, PLANT: self._plant}
        return _with(replace(program, command=(python, minus_m, module)), {**environment, **own})

    def _wired_url(self) -> Path:
        """The worker's connection string, by way of its wire."""
        url = replace(self._cluster, port=self.wires.worker_to_database.port).dsn(
            DATABASE, "tillstream_worker"
        )
        path = self.places.secrets / "wired.url"
        path.touch(mode=0o600)
        path.write_text(url)
        return path


def own_ends(log: str, name: str) -> list[str]:
    """Of supervisord's log: the ends of a program that no kill and no crash point explains. A SIGTERM counts among them, for it
    looks like an end of one's own; so does not what supervisord was asked to stop."""
    ends = re.findall(rf"exited: {re.escape(name)} \(([^;)]*)", log)
    return [end for end in ends if not end.startswith(ENDED_BY_US)]


def _with(program: Program, environment: Mapping[str, str]) -> Program:
    return replace(program, environment={**program.environment, **environment})


def _settings(values: Mapping[str, str]) -> dict[str, str]:
    return {f"TILLSTREAM_{name}": value for name, value in values.items()}
