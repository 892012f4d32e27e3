"""Fixture: the whole stack, native (by the code behind `make up`) or in containers, beside any other on this machine."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.any_stack import AnyStack
from support.composed import run_composed
from support.kafka import CACHE
from support.ports import free_ports
from tillstream_native.places import SERVICES, Places
from tillstream_native.readiness import wait_until_ready
from tillstream_native.sample import drop
from tillstream_native.stack import Part, Stack
from tillstream_native.system import LOCALHOST

# Where files are dropped whole, the watcher need not wait long to see whether they still grow.
QUICK_FILES = {"TILLSTREAM_FILE_STABLE_S": "0.2", "TILLSTREAM_FILE_SCAN_S": "0.2"}
STOP_WITHIN_S = 60
READY_WITHIN_S = 60


class RunningStack:
    """What an end-to-end test needs of the stack: addresses, and a hand on every process by its name."""

    def __init__(self, stack: Stack) -> None:
        self.native = stack
        ports = stack.ports
        self.ingest_url = f"http://{LOCALHOST}:{ports.ingest}"
        self.query_url = f"http://{LOCALHOST}:{ports.query}"
        self.bootstrap = f"{LOCALHOST}:{ports.kafka}"
        self.data_dir = stack.places.data
        self.inbox = stack.places.inbox
        self.superuser_dsn = stack.dsn("postgres")
        self.owner_dsn = stack.dsn("tillstream_owner")
        self.worker_dsn = stack.dsn("tillstream_worker")
        self.operator_dsn = stack.dsn("tillstream_operator")
        self.reader_dsn = stack.dsn("tillstream_reader")
        self.reports_dsn = stack.dsn("tillstream_reports")

    def ops_url(self, service: str) -> str:
        """Where a service serves /metrics and /health."""
        return f"http://{LOCALHOST}:{self.native.ports.ops(service)}"

    def part(self, name: str) -> Part:
        """One line of `make status`."""
        return next(part for part in self.native.status() if part.name == name)

    def pid(self, name: str) -> int | None:
        return self.part(name).pid

    def log(self, name: str) -> Path:
        return self.native.places.log(name)

    def stop(self, *names: str) -> None:
        """Stop parts in their own way and wait; they stay down until they are started."""
        self.native.supervisor.stop(names, STOP_WITHIN_S)

    def start(self, *names: str) -> None:
        """Start parts and return at once."""
        self.native.supervisor.start(names)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a part's process and return its pid; the supervisor starts a new one when it ends."""
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, number)
        return pid

    def wait_ready(self, *services: str, within_s: float = READY_WITHIN_S) -> None:
        """Wait until services (all five by default) say that they are ready."""
        wait_until_ready(services or SERVICES, self.native.ports, self.native.places, within_s)

    def drop(self, file: Path) -> None:
        """Put a file into the input folder, whole from the first moment."""
        drop(file, self.native.places)


@pytest.fixture(scope="session")
def stack_settings() -> Mapping[str, str]:
    """`TILLSTREAM_` variables for every process of the stack; a test package may override this."""
    return {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--stack` chooses what the end-to-end tests run on."""
    parser.addoption("--stack", choices=("native", "compose"), default="native", help="what e2e tests run on")


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, server_place: Path, stack_settings: Mapping[str, str]
) -> Iterator[AnyStack]:
    """The stack without any data, ready; what a test stops or kills it has to bring back."""
    if request.config.getoption("--stack") == "compose":
        yield from run_composed(server_place / "state", stack_settings)
    else:
        yield from run_stack(server_place / "state", stack_settings)


def run_stack(state: Path, settings: Mapping[str, str]) -> Iterator[RunningStack]:
    """A stack on free ports, up until the caller goes on."""
    native = Stack(Places(state, CACHE), free_ports(), settings, print)
    try:
        native.up()
        yield RunningStack(native)
    finally:
        native.down()
