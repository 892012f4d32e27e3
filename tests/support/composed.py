"""The whole system in containers: a clean copy of the tree, `make init`, `docker compose up --wait`, beside any other on this machine."""

import io
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from testcontainers.compose import DockerCompose

from support.kafka import CACHE
from support.ports import free_ports
from tillstream_native.places import SERVICES, Places, Ports
from tillstream_native.readiness import wait_until_ready
from tillstream_native.system import LOCALHOST

ROOT = Path(__file__).parents[2]
# Its image is on no machine that tests this; what it is given is tested in infra/grafana/tests.
LEFT_OUT = frozenset({"grafana"})
COMMAND_WITHIN_S = 300
IMAGES = ("ingest-api", "query-api", "etl-worker", "file-watcher")
KILLED = 128 + signal.SIGKILL  # as a shell tells it
# Published ports that the native stack does not have.
AIRFLOW_PORT = 8080
POSTGRES_PORT = 5432


def docker(*arguments: str) -> str:
    """What a command of the engine says; raises CalledProcessError where it fails."""
    return subprocess.run(
        ["docker", *arguments], check=True, capture_output=True, text=True, timeout=COMMAND_WITHIN_S
    ).stdout


class ComposedStack:
    """A project of Compose, with the names and addresses of the parts as the native stack has them."""

    def __init__(self, place: Path, offset: int, project: str, files: Sequence[str] = ()) -> None:
        self.place = place
        self.project = project
        self.ports = Ports(offset)
        self.ingest_url = f"http://{LOCALHOST}:{self.ports.ingest}"
        self.query_url = f"http://{LOCALHOST}:{self.ports.query}"
        self.airflow_url = f"http://{LOCALHOST}:{AIRFLOW_PORT + offset}"
        self.prometheus_url = f"http://{LOCALHOST}:{self.ports.prometheus}"
        self.data_dir = place / "data"
        self.compose = DockerCompose(place, compose_file_name=list(files), env_file=".env")
        self.compose.services = sorted(set(self.run("config", "--services").split()) - LEFT_OUT)

    @property
    def worker_dsn(self) -> str:
        return self.dsn("tillstream_worker")

    @property
    def services(self) -> list[str]:
        """Every service that is brought up, the commands that end among them."""
        assert self.compose.services
        return self.compose.services

    def dsn(self, role: str) -> str:
        """How one reaches the database from outside as a role."""
        address = f"{LOCALHOST}:{POSTGRES_PORT + self.ports.offset}"
        return self.secret(f"{role}.url").replace("postgres:5432", address)

    def secret(self, name: str) -> str:
        return (self.place / "secrets" / name).read_text()

    def ops_url(self, service: str) -> str:
        return f"http://{LOCALHOST}:{self.ports.ops(service)}"

    def container(self, name: str, number: int = 1) -> str:
        """The name of a service's container; a service may have several."""
        return f"{self.project}-{name}-{number}"

    def inspect(self, name: str, number: int = 1) -> dict[str, Any]:
        """All that the engine tells about a service's container."""
        found: dict[str, Any] = json.loads(docker("inspect", self.container(name, number)))[0]
        return found

    def pid(self, name: str) -> int | None:
        return self.inspect(name)["State"]["Pid"] or None

    def run(self, *arguments: str) -> str:
        """`docker compose …` in the project."""
        command = [*self.compose.docker_compose_command(), *arguments]
        done = subprocess.run(
            command, cwd=self.place, capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def up(self) -> None:
        """Bring up what is not up, and wait until it is healthy."""
        try:
            self.compose.start()
        except subprocess.CalledProcessError as error:
            last = (error.stderr or b"").decode().splitlines()[-3:]
            raise AssertionError(
                "\n".join([*last, self.run("ps", "--all"), self.run("logs", "--tail=20")])
            ) from error

    def stop(self, *names: str) -> None:
        self.run("stop", *names)

    def start(self, *names: str) -> None:
        self.run("start", *names)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        # From within, as the part's own user: to the engine's own `kill` a container stays stopped.
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        try:
            docker("exec", self.container(name), "sh", "-c", f"kill -{number.value} -1")
        except subprocess.CalledProcessError as error:
            if error.returncode != KILLED:  # the shell went down with the container before it could answer
                raise
        return pid

    def wait_ready(self, *services: str, within_s: float = 60) -> None:
        wait_until_ready(services or SERVICES, self.ports, Places(self.place, CACHE), within_s)


def run_composed(
    place: Path, settings: Mapping[str, str], files: Sequence[str] = ()
) -> Iterator[ComposedStack]:
    """A project on ports of its own, up until the caller goes on; then nothing of it is left but layers of images."""
    offset = free_ports().offset
    project = f"tillstream-test-{os.getpid()}-{offset}"
    copy_tree(place)
    subprocess.run(
        ["make", "-s", "init", f"PORT_OFFSET={offset}"], cwd=place, check=True, timeout=COMMAND_WITHIN_S
    )
    with (place / ".env").open("a") as file:
        file.write(f"COMPOSE_PROJECT_NAME={project}\nTILLSTREAM_VERSION={project}\nAIRFLOW_PAUSED=true\n")
    (place / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    stack = ComposedStack(place, offset, project, files)
    try:
        stack.up()
        yield stack
    finally:
        stack.run("down", "--volumes", "--remove-orphans")
        subprocess.run(
            ["docker", "image", "rm", *(f"tillstream/{image}:{project}" for image in IMAGES)],
            check=False,  # an interrupted start has not made all of them
            capture_output=True,
            timeout=COMMAND_WITHIN_S,
        )


def copy_tree(place: Path) -> None:
    """What a clone of this tree would hold: the last commit, and what has changed since in files that git knows."""
    changed = _git("stash", "create").decode().strip()
    with tarfile.open(fileobj=io.BytesIO(_git("archive", changed or "HEAD"))) as archive:
        archive.extractall(place, filter="data")


def _git(*arguments: str) -> bytes:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, timeout=COMMAND_WITHIN_S
    ).stdout
