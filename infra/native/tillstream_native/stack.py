"""The whole shop on one machine: brought up in order, taken down in order, safe to repeat."""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tillstream_native.class_archive import archive_classes
from tillstream_native.credentials import load_passwords, write_urls
from tillstream_native.kafka import Broker, fetch_jars
from tillstream_native.places import (
    ETL_WORKER,
    FILE_LOADER,
    FILE_WATCHER,
    INGEST_API,
    KAFKA,
    NAMES,
    POSTGRES,
    PROMETHEUS,
    QUERY_API,
    SERVICES,
    Places,
    Ports,
)
from tillstream_native.postgres import Cluster, find_install
from tillstream_native.preflight import check_disk, check_ports, check_state
from tillstream_native.processes import tail
from tillstream_native.prometheus import Prometheus, find_program, require_program
from tillstream_native.readiness import wait_until_ready
from tillstream_native.services import Services
from tillstream_native.supervision import DOWN, MARK, RUNNING, STOPPED, Supervisor
from tillstream_native.system import CannotRun, server_user
from tillstream_native.tools import find_java

POLL_S = 0.02
SERVER_WITHIN_S = 90  # after a crash PostgreSQL replays its log first
SERVICES_WITHIN_S = 60
STOP_WITHIN_S = 90
LEFTOVER_WITHIN_S = 20
# The doors close first, then what drains, then what it drains into.
STOP_ORDER = (
    (PROMETHEUS, FILE_WATCHER, INGEST_API, QUERY_API),
    (FILE_LOADER, ETL_WORKER),
    (KAFKA,),
    (POSTGRES,),
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One line of `make status`."""

    name: str
    pid: int | None
    state: str
    ports: tuple[int, ...]


class Stack:
    """PostgreSQL, Kafka and the five processes under one supervisor, with all state in one folder; Prometheus where it is
    wanted, and from then on until `down`."""

    def __init__(
        self,
        places: Places,
        ports: Ports,
        settings: Mapping[str, str],
        say: Say,
        *,
        with_prometheus: bool = False,
    ) -> None:
        self._with_prometheus = with_prometheus
        self.places = places
        self.ports = ports
        self.supervisor = Supervisor(places)
        self._settings = settings
        self.say = say
        self._offset_file = places.run / "port-offset"

    def up(self) -> None:
        """Start what does not run and wait until all is ready. Raises CannotRun with the reason when it is not."""
        check_state(self.places)
        if self._with_prometheus:
            require_program(self.places.cache)
        self.places.create()
        with self._alone():
            if self.supervisor.running:
                self._check_offset()
                self._tell_of_settings()
            if any(part.state != RUNNING for part in self.status()):
                self._start()
            else:  # a topic may be gone all the same
                self._create_topics()
            wait_until_ready(SERVICES, self.ports, self.places, SERVICES_WITHIN_S)
            self.say("The five services are ready.")
            if self._with_prometheus:
                self._wait(PROMETHEUS, self._prometheus().ready)
                self.say("Prometheus watches them.")

    def down(self) -> None:
        """Stop everything in order and wait for its end; nothing to stop is fine."""
        if not self.places.run.exists():
            return
        with self._alone():
            if self.supervisor.running:
                for together in STOP_ORDER:
                    self.supervisor.stop(together, STOP_WITHIN_S)
                self.supervisor.shutdown(STOP_WITHIN_S)
            self._end_leftovers()

    def status(self) -> list[Part]:
        """All parts, running or not; Prometheus where it runs or is wanted."""
        states = self.supervisor.states()
        is_watched = self._with_prometheus or states.get(PROMETHEUS, (STOPPED, None))[0] not in DOWN
        names = (*NAMES, PROMETHEUS) if is_watched else NAMES
        parts = ((name, *states.get(name, (STOPPED, None))) for name in names)
        return [Part(name, pid, state, self.ports.of(name)) for name, state, pid in parts]

    def dsn(self, role: str) -> str:
        """How one reaches the database as a role."""
        return self._cluster().dsn(user=role)

    def _start(self) -> None:
        is_new = not self.supervisor.running
        if is_new:
            self._end_leftovers()
            check_disk(self.places.state)
            self._check_ports(NAMES)
        if self._with_prometheus:
            self._prepare_prometheus(is_new=is_new)
        cluster, broker = self._cluster(), self._broker()
        services = Services(self.places, self.ports, self._settings)
        if is_new:
            self._launch(cluster, broker, services)
        self._start_servers(cluster, broker, services)
        self.supervisor.start((*SERVICES, PROMETHEUS) if self._with_prometheus else SERVICES)

    def _check_ports(self, names: Iterable[str]) -> None:
        check_ports({port: name for name in names for port in self.ports.of(name)})

    def _prepare_prometheus(self, *, is_new: bool) -> None:
        states = self.supervisor.states()
        state, _ = states.get(PROMETHEUS, (STOPPED, None))
        if not is_new and PROMETHEUS not in states:
            raise CannotRun("This stack was started by a release without Prometheus; `make down` first.")
        if state in DOWN:
            self._check_ports([PROMETHEUS])
            self._prometheus().configure()

    def _prometheus(self) -> Prometheus:
        binary = find_program("prometheus", self.places.cache) or Path("prometheus")
        targets = {name: self.ports.ops(name) for name in SERVICES}
        return Prometheus(self.places.prometheus, binary, self.ports.prometheus, targets)

    def _cluster(self) -> Cluster:
        user = server_user()
        place = self.places.create_postgres(user)
        install = find_install(user, self.places.pginstall(user))
        return Cluster(place, install, self.ports.postgres, load_passwords(self.places.secrets), user)

    def _broker(self) -> Broker:
        java = find_java()
        jars = fetch_jars(self.places.cache, java)
        archive_classes(jars, java)
        return Broker(self.places.kafka, jars, java, self.ports.kafka, self.ports.kafka_controller)

    def _launch(self, cluster: Cluster, broker: Broker, services: Services) -> None:
        self._offset_file.write_text(str(self.ports.offset))
        cluster.create()
        cluster.configure({})
        write_urls(self.places.secrets, cluster)
        prometheus = self._prometheus().program()  # always known to the supervisor, so that it can come later
        self.supervisor.configure([cluster.program(), broker.program(), *services.programs(), prometheus])
        self.supervisor.launch()

    def _start_servers(self, cluster: Cluster, broker: Broker, services: Services) -> None:
        """Kafka comes up while the database is migrated."""
        self.supervisor.start([POSTGRES])
        broker.create()
        broker.configure()
        self.supervisor.start([KAFKA])
        self._wait(POSTGRES, cluster.ready)
        cluster.prepare()
        services.run_command("migrate")
        self.say("PostgreSQL is ready, its schema is the declared one.")
        self._wait(KAFKA, broker.ready)
        self._create_topics()
        self.say("Kafka is ready, its topics exist.")

    def _create_topics(self) -> None:
        """Those that are missing; the others are checked."""
        Services(self.places, self.ports, self._settings).run_command("topics")

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SERVER_WITHIN_S
        while not ready():
            if time.monotonic() > deadline:
                log = tail(self.places.log(name))
                raise CannotRun(f"{name} was not ready after {SERVER_WITHIN_S} s. Its log ends with:\n{log}")
            time.sleep(POLL_S)

    def _check_offset(self) -> None:
        offset = recorded_offset(self.places)
        if offset is not None and offset != self.ports.offset:
            raise CannotRun(
                f"This stack runs already, with PORT_OFFSET={offset}; `make down` first to move it."
            )

    def _tell_of_settings(self) -> None:
        if self._settings:
            names = ", ".join(sorted(self._settings))
            self.say(
                f"This stack runs already, with the settings of its start; `make down` first for: {names}."
            )

    def _end_leftovers(self) -> None:
        """End what a killed supervisord left behind; the mark in the environment says that it is ours."""
        left = list(self._marked())
        if not left:
            return
        self.say(f"Ending {len(left)} processes that a former run left behind.")
        for process in left:
            process.terminate()
        _, alive = psutil.wait_procs(left, timeout=LEFTOVER_WITHIN_S)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive)

    def _marked(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == str(self.places.state):
                    yield process
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two commands at once on one state would start everything twice."""
        with (self.places.run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CannotRun(
                    f"Another `make up` or `make down` works on {self.places.state}; wait for it."
                ) from None
            yield


def recorded_offset(places: Places) -> int | None:
    """The port offset that this state was last brought up with."""
    file = places.run / "port-offset"
    return int(file.read_text()) if file.exists() else None
