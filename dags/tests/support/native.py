"""The native stack, run in its own environment by its own commands, beside any other on this machine."""

import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "data" / "sample"
BOOTSTRAP = ROOT / "infra" / "native" / "bootstrap.sh"
LOCALHOST = "127.0.0.1"
OFFSETS = range(1000, 1910, 10)
# One of each part, and those of Airflow.
PORTS = (8001, 8002, 8080, 8793, 8794, 9090, 9092, 9093, 9101, 9102, 9103, 9104, 9105, 54320)
UP_WITHIN_S = 400
COMMAND_WITHIN_S = 120
NOT_HANDED_ON = ("AIRFLOW", "TILLSTREAM_", "PYTHON", "VIRTUAL_ENV", "STATE", "PORT_OFFSET", "PYTEST")


class NativeStack:
    """Where one stack is, and its life."""

    def __init__(self, state: Path, offset: int) -> None:
        self.state = state
        self.offset = offset
        self.ingest_url = f"http://{LOCALHOST}:{8001 + offset}"
        self.query_url = f"http://{LOCALHOST}:{8002 + offset}"
        self.data_dir = state / "data"
        self._leash: subprocess.Popen[bytes] | None = None

    def up(self, owner_pid: int) -> None:
        """Start it; if the owner is killed, it is ended by a leash."""
        self._command("up", within_s=UP_WITHIN_S)
        self._leash = subprocess.Popen(
            [BOOTSTRAP, "python", "-m", "tillstream_native.leash", str(owner_pid), str(self.state.parent)],
            env=other_environment(),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )

    def down(self) -> None:
        """Stop it and delete its state, which ends the leash."""
        try:
            self._command("down", within_s=COMMAND_WITHIN_S)
        finally:
            shutil.rmtree(self.state.parent, ignore_errors=True)
            if self._leash is not None:
                self._leash.wait(COMMAND_WITHIN_S)

    def dsn(self, role: str, dbname: str = "tillstream") -> str:
        """How one reaches a database as a role; `postgres` is the superuser."""
        url = (self.state / "secrets" / f"{role}.url").read_text().strip()
        return f"{url.rpartition('/')[0]}/{dbname}"

    def tillstream(self, *arguments: str, **settings: str) -> None:
        """Run a command of the product."""
        self._run([BOOTSTRAP, "tillstream", *arguments], COMMAND_WITHIN_S, settings)

    def get(self, path: str, **parameters: str) -> Any:
        """query-api's answer."""
        return httpx.get(f"{self.query_url}{path}", params=parameters).raise_for_status().json()

    def _command(self, name: str, within_s: float) -> None:
        place = ["--state", str(self.state), "--port-offset", str(self.offset)]
        self._run([BOOTSTRAP, "python", "-m", "tillstream_native", *place, name], within_s, {})

    def _run(self, command: list[Any], within_s: float, settings: dict[str, str]) -> None:
        done = subprocess.run(
            command,
            env={**other_environment(), **settings},
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"


def other_environment() -> dict[str, str]:
    """The caller's, without what belongs to Airflow's environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_HANDED_ON)}
    own = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join(each for each in kept["PATH"].split(os.pathsep) if each != own)
    return kept


def free_offset() -> int:
    """An offset at which nobody listens on any port of a stack, nor will, where a stack without an offset comes up."""
    for offset in random.sample(OFFSETS, len(OFFSETS)):
        ports = [port + offset for port in PORTS]
        if not set(ports) & set(PORTS) and all(_is_free(port) for port in ports):
            return offset
    raise AssertionError(f"No offset from {OFFSETS.start} to {OFFSETS.stop} has all of its ports free.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return False
    return True
