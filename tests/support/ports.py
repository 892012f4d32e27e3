"""Ports for the servers of tests, each claimed for as long as this test process lives.

That nobody listens on a port right now says too little: two processes may look at the same moment, and a server that its
test has stopped must find its own port free again.
"""

import fcntl
import os
import random
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tillstream_native.places import NAMES, PROMETHEUS, Ports
from tillstream_native.preflight import check_ports
from tillstream_native.system import CannotRun

# All outside the range from which Linux takes the ports of outgoing connections.
SERVER_PORTS = range(20_200, 32_000)
OFFSETS = range(6_700, 11_000, 10)
TRIES = 50
CLAIMS = Path(tempfile.gettempdir()) / f"tillstream-test-ports-{os.getuid()}"


def free_port() -> int:
    """A port that no server has, and that no other test process is given before this one ends."""
    for port in random.sample(SERVER_PORTS, TRIES):
        if _take([port]):
            return port
    raise CannotRun(f"None of {TRIES} ports between {SERVER_PORTS.start} and {SERVER_PORTS.stop} is free.")


def free_ports() -> Ports:
    """The same for all ports of a stack."""
    for offset in random.sample(OFFSETS, TRIES):
        ports = Ports(offset)
        if _take(port for name in (*NAMES, PROMETHEUS) for port in ports.of(name)):
            return ports
    raise CannotRun(f"None of {TRIES} port ranges is free.")


def _take(wanted: Iterable[int]) -> bool:
    """Claim all of them or none."""
    claims: dict[int, int] = {}
    try:
        for port in wanted:
            claims[port] = _claim(port)
        check_ports(dict.fromkeys(claims, "a test"))
    except (BlockingIOError, CannotRun):
        for claim in claims.values():
            os.close(claim)
        return False
    return True  # the locks are left open on purpose: the end of this process gives them back


def _claim(port: int) -> int:
    CLAIMS.mkdir(mode=0o700, exist_ok=True)
    claim = os.open(CLAIMS / str(port), os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        raise
    return claim
