"""`make up` and `make down` on a whole stack: repeated, interrupted, crashed."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from support.kafka import CACHE
from support.ports import free_ports
from support.stack import RunningStack, run_stack
from tillstream_native.places import NAMES, Places
from tillstream_native.stack import Stack
from tillstream_native.system import LOCALHOST, CannotRun

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def running(server_place: Path) -> Iterator[RunningStack]:
    """A stack of this module's own: its tests take it down."""
    yield from run_stack(server_place / "own-state", {})


def pids(running: RunningStack) -> dict[str, int | None]:
    return {part.name: part.pid for part in running.native.status()}


def test_everything_runs_and_is_ready(running: RunningStack) -> None:
    assert {part.name: part.state for part in running.native.status()} == dict.fromkeys(NAMES, "running")
    running.wait_ready()


def test_second_up_changes_nothing(running: RunningStack) -> None:
    before = pids(running)
    running.native.up()
    assert pids(running) == before


def test_other_ports_are_refused_while_the_stack_runs(running: RunningStack) -> None:
    moved = Stack(running.native.places, free_ports(), {}, print)
    with pytest.raises(CannotRun, match="runs already, with PORT_OFFSET="):
        moved.up()


def test_processes_that_a_killed_supervisor_left_behind_are_replaced(running: RunningStack) -> None:
    before = pids(running)
    with psycopg.connect(running.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS public.kept AS SELECT 42 AS answer")
    os.kill(int((running.native.places.run / "supervisord.pid").read_text()), signal.SIGKILL)
    running.native.up()
    after = pids(running)
    assert [name for name in NAMES if after[name] in {None, before[name]}] == []
    assert [pid for pid in before.values() if pid and psutil.pid_exists(pid)] == []
    with psycopg.connect(running.superuser_dsn) as connection:
        assert connection.execute("SELECT answer FROM public.kept").fetchone() == (42,)


def test_down_ends_every_process_and_keeps_the_state(running: RunningStack) -> None:
    before = pids(running)
    running.native.down()
    assert [pid for pid in before.values() if pid and psutil.pid_exists(pid)] == []
    assert {part.state for part in running.native.status()} == {"stopped"}
    running.native.down()
    running.native.up()
    running.wait_ready()
    with psycopg.connect(running.superuser_dsn) as connection:
        assert connection.execute("SELECT answer FROM public.kept").fetchone() == (42,)


def test_taken_port_stops_the_start_before_anything_runs(server_place: Path) -> None:
    ports = free_ports()
    refused = Stack(Places(server_place / "refused", CACHE), ports, {}, print)
    with (
        socket.create_server((LOCALHOST, ports.query)),
        pytest.raises(
            CannotRun,
            match=f"Port {ports.query}, which query-api needs, is taken by .* with pid {os.getpid()}",
        ),
    ):
        refused.up()
    assert not refused.supervisor.running
    assert not (refused.places.state / "postgres").exists()
