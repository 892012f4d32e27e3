"""The leash ends what a killed process left behind, and nothing else."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tillstream_native.leash import end_all, fasten

pytestmark = pytest.mark.integration

WAIT_S = 15
SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")


OWNER = """
import signal, subprocess, sys
from pathlib import Path
server = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
half = Path(sys.argv[1], "server.half")
half.write_text(str(server.pid))
half.rename(half.with_suffix(".pid"))
signal.pause()
"""


def pid_in(file: Path) -> int:
    """The pid that a process writes into a file, once it has."""
    deadline = time.monotonic() + WAIT_S
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} was never written"
    return int(file.read_text())


def test_servers_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "servers"
    place.mkdir()
    owner = subprocess.Popen([sys.executable, "-c", OWNER, place])
    server = psutil.Process(pid_in(place / "server.pid"))
    leash = fasten(owner.pid, place)
    owner.kill()
    owner.wait(WAIT_S)
    assert leash.wait(WAIT_S) == 0
    assert not server.is_running()
    assert not place.exists()


def test_leash_ends_when_the_owner_has_tidied_up(tmp_path: Path) -> None:
    place = tmp_path / "servers"
    place.mkdir()
    owner = subprocess.Popen(SLEEPER)
    leash = fasten(owner.pid, place)
    place.rmdir()
    try:
        assert leash.wait(WAIT_S) == 0
        assert owner.poll() is None
    finally:
        owner.kill()
        owner.wait(WAIT_S)


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "servers"
    place.mkdir()
    stale = place / "gone.pid"
    stranger = subprocess.Popen(SLEEPER)
    try:
        stale.write_text(str(stranger.pid))
        long_ago = psutil.Process(stranger.pid).create_time() - 3_600
        os.utime(stale, (long_ago, long_ago))
        end_all(place)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(WAIT_S)
