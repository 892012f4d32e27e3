"""Whatever a partner puts into the folder, nothing but a plain file is opened, and every other thing is told of."""

import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from file_watcher import claim
from file_watcher.stuck import Obstacle
from tillstream.folders import job_id_of, open_regular

from .conftest import STABLE_S, Bench, alarms

pytestmark = pytest.mark.unit


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        previous = Path.cwd()
        os.chdir(path.parent)  # the address of a socket has room for a short path only
        try:
            listening.bind(path.name)
        finally:
            os.chdir(previous)


def make_device(path: Path) -> None:
    """Only root may make one; a block device and a socket are told apart from a file by the very same bits."""
    if os.geteuid() == 0:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    else:
        make_socket(path)


KINDS: dict[str, Callable[[Path], None]] = {
    "link": lambda path: path.symlink_to(path.parent.parent / "secret"),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a folder": lambda path: path.symlink_to(path.parent.parent),
    "pipe": os.mkfifo,
    "socket": make_socket,
    "device": make_device,
}


class Opened:
    """Every path that this process opens while it is on, as the interpreter itself tells. It cannot be taken off again."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.is_on = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.is_on and event == "open" and isinstance(arguments[0], str | bytes):
            self.paths.append(os.fsdecode(arguments[0]))


@pytest.fixture(scope="module")
def opened() -> Opened:
    return Opened()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_no_file_goes_to_error_unopened(bench: Bench, opened: Opened, kind: str) -> None:
    secret = bench.folders.root / "secret"
    secret.write_bytes(b"secret")
    path = bench.folders.input / "odd.csv"
    KINDS[kind](path)
    before = path.lstat()
    bench.drop("plain.csv")
    opened.paths.clear()
    opened.is_on = True
    with capture_logs() as logs:
        assert await bench.scan_until_stable() == 1
    opened.is_on = False
    assert str(bench.folders.input / "plain.csv") in opened.paths
    assert [each for each in opened.paths if each.endswith(("odd.csv", "secret"))] == []
    (refused,) = bench.refused()
    assert job_id_of(refused.name) is not None
    assert (refused.lstat().st_ino, refused.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert alarms(logs) == ["'odd.csv'"]
    assert bench.app.metrics.files_refused._value.get() == 1
    assert list(bench.claimed()) == ["plain.csv"]


async def test_a_folder_that_looks_like_a_file_is_never_claimed(bench: Bench) -> None:
    bench.drop("orders.csv/x.csv")
    (bench.folders.input / "orders.csv" / "inner.csv").mkdir()
    with capture_logs() as logs:
        assert await bench.scan_until_stable() == 1
    assert list(bench.claimed()) == ["x.csv"]
    assert alarms(logs) == ["'orders.csv/inner.csv'"]
    assert bench.stuck(Obstacle.FOLDER) == 1


@pytest.mark.parametrize("kind", ["link", "pipe"])
async def test_a_file_that_turns_into_something_else_at_the_last_moment_is_not_opened(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (bench.folders.root / "secret").write_bytes(b"secret")
    path = bench.drop("orders.csv")
    bench.drop("plain.csv")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)

    def swap_and_open(name: Path) -> object:
        if name == path:
            path.unlink()
            KINDS[kind](path)
        return open_regular(name)

    with monkeypatch.context() as swapped, capture_logs() as logs:
        swapped.setattr(claim, "open_regular", swap_and_open)
        assert await bench.app.watch.scan_once() == 1
    assert alarms(logs) == ["'orders.csv'"]
    assert bench.stuck(Obstacle.NOT_TAKEN) == 1
    assert await bench.scan_until_stable() == 0
    assert len(bench.refused()) == 1
    assert bench.stuck(Obstacle.NOT_TAKEN) == 0


async def test_a_file_that_is_written_to_again_during_a_long_scan_waits_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.drop("orders.csv", b"half")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)

    def write_and_open(name: Path) -> object:
        name.write_bytes(b"half and more")
        return open_regular(name)

    with monkeypatch.context() as written:
        written.setattr(claim, "open_regular", write_and_open)
        assert await bench.app.watch.scan_once() == 0
    assert path.exists()
    assert await bench.scan_until_stable() == 1
    assert bench.claimed() == {"orders.csv": b"half and more"}


async def test_a_scan_looks_at_so_many_names_and_finds_the_others_later(bench: Bench) -> None:
    bench.app.watch._input._max_names = 3
    for number in range(8):
        bench.drop(f"{number}.csv" if number % 2 else f"acme/{number}.csv")
    with capture_logs() as logs:
        claimed = [await bench.scan_until_stable() for _ in range(3)]
    assert claimed == [3, 3, 2]
    assert alarms(logs) == ["'.'"]
    assert bench.stuck(Obstacle.TOO_MANY) == 0
