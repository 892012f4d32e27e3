"""The ports of test servers are given to one test process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from support import ports
from tillstream_native.system import CannotRun

pytestmark = pytest.mark.integration

ASK = "from support import ports; ports.SERVER_PORTS = range({0}, {0} + 1); ports.TRIES = 1; print(ports.free_port())"


def asked_elsewhere(port: int) -> str:
    """What another process is told that wants this port and no other."""
    root = Path(__file__).parents[1]
    path = f"{root / 'tests'}:{root / 'infra' / 'native'}"
    command = [sys.executable, "-c", ASK.format(port)]
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_claimed_port_is_given_to_nobody_else_although_nobody_listens() -> None:
    assert "None of 1 ports" in asked_elsewhere(ports.free_port())


def test_claim_ends_with_the_process_that_made_it() -> None:
    free = next(port for port in ports.SERVER_PORTS if asked_elsewhere(port) == str(port))
    assert asked_elsewhere(free) == str(free)


def test_stacks_whose_ports_overlap_are_not_both_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ports.free_ports()
    # Ten further, the port of Kafka is the port of query-api's metrics.
    monkeypatch.setattr(ports, "OFFSETS", range(given.offset, given.offset + 20, 10))
    monkeypatch.setattr(ports, "TRIES", 2)
    with pytest.raises(CannotRun, match="None of 2 port ranges"):
        ports.free_ports()
