"""Two watchers on one folder: each file is one job, whichever of them is quicker, at whatever moment."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from file_watcher import claim
from file_watcher.app import App
from file_watcher.emit import ORPHAN_AFTER_S, remove_orphans
from tillstream import folders
from tillstream.folders import move

from .conftest import STABLE_S, Bench, alarms

pytestmark = pytest.mark.unit


class Rival:
    """Another watcher, which does all of its work between two steps of the first one."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._first = bench.app
        self.app: App = bench.start()
        bench.app = self._first

    def claims(self) -> int:
        """Takes whatever lies there, at once."""
        found = self.app.watch._input.scan().dropped
        return sum(self.app.watch._claimer.claim(each) is not None for each in found)

    def removes_orphans(self) -> None:
        remove_orphans(self.app.folders, self.app.folders.claimed(), self._bench.clock)


def between(monkeypatch: pytest.MonkeyPatch, step: str, first: Callable[[], object]) -> None:
    """Before the first watcher's next `step`, and only then, something else happens."""
    place = folders if step in {"durable_file", "move"} else claim
    true = getattr(place, step)

    def interrupted(*arguments: Path) -> object:
        monkeypatch.setattr(place, step, true)
        first()
        return true(*arguments)

    monkeypatch.setattr(place, step, interrupted)


def complete(bench: Bench) -> bool:
    """Every claimed file has its job beside it, and there is nothing else."""
    claimed = bench.folders.claimed()
    expected = set(claimed.values()) | {bench.folders.sidecar(job_id).name for job_id in claimed}
    return {path.name for path in bench.folders.work.iterdir()} == expected


@pytest.mark.parametrize("step", ["open_regular", "durable_file", "move"])
async def test_who_comes_too_late_leaves_nothing_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    rival = Rival(bench)
    bench.drop("orders.csv", b"content")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)
    rivals: list[int] = []
    between(monkeypatch, step, lambda: rivals.append(rival.claims()))
    with capture_logs() as logs:
        assert await bench.app.watch.scan_once() == 0
    assert rivals == [1]
    assert bench.claimed() == {"orders.csv": b"content"}
    assert complete(bench)
    assert alarms(logs) == []
    await bench.app.emitter.emit_all()
    await rival.app.emitter.emit_all()
    assert len({job.job_id for job in bench.sent()}) == 1


@pytest.mark.parametrize("step", ["durable_file", "move"])
async def test_a_new_file_under_the_name_of_one_that_was_just_taken_is_not_taken_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    rival = Rival(bench)
    bench.drop("orders.csv", b"first")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)
    between(monkeypatch, step, lambda: (rival.claims(), bench.drop("orders.csv", b"half of the sec")))
    with capture_logs() as logs:
        assert await bench.app.watch.scan_once() == 0
    assert bench.claimed() == {"orders.csv": b"first"}
    assert complete(bench)
    assert alarms(logs) == []
    path = bench.folders.input / "orders.csv"
    assert (path.read_bytes(), path.stat().st_nlink) == (b"half of the sec", 1)
    path.write_bytes(b"second")
    assert await bench.scan_until_stable() == 1
    names = bench.folders.claimed().values()
    assert [(bench.folders.work / name).read_bytes() for name in names] == [b"first", b"second"]


async def test_what_cannot_be_given_back_goes_to_error_with_an_alarm(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is taken a third time before the second file is back under it; none of them is lost."""
    rival = Rival(bench)
    bench.drop("orders.csv", b"first")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)

    def two_more() -> None:
        rival.claims()
        bench.drop("orders.csv", b"second")
        between(monkeypatch, "_is_same", lambda: bench.drop("orders.csv", b"third"))

    between(monkeypatch, "move", two_more)
    with capture_logs() as logs:
        assert await bench.app.watch.scan_once() == 0
    assert bench.claimed() == {"orders.csv": b"first"}
    assert [path.read_bytes() for path in bench.refused()] == [b"second"]
    assert (bench.folders.input / "orders.csv").read_bytes() == b"third"
    assert len(alarms(logs)) == 1
    assert await bench.app.emitter.emit_new()
    assert [job.file_name for job in bench.sent() if job.refusal] == ["orders.csv"]
    assert complete(bench)


async def test_a_watcher_that_stood_still_for_an_hour_finds_its_job_gone_and_writes_it_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = Rival(bench)
    bench.drop("orders.csv")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)

    def an_hour_later() -> None:
        (sidecar,) = bench.folders.work.iterdir()
        os.utime(sidecar, (bench.clock.now().timestamp() - ORPHAN_AFTER_S - 1,) * 2)
        rival.removes_orphans()
        assert list(bench.folders.work.iterdir()) == []

    between(monkeypatch, "move", an_hour_later)
    assert await bench.app.watch.scan_once() == 1
    assert complete(bench)
    assert await rival.app.emitter.emit_all()
    assert [job.file_name for job in bench.sent()] == ["orders.csv"]


async def test_a_claim_that_cannot_be_made_durable_keeps_its_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.drop("orders.csv")

    def moved_and_failed(source: Path, target: Path) -> None:
        move(source, target)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(folders, "move", moved_and_failed)
        with pytest.raises(OSError, match="Input/output"):
            await bench.scan_until_stable()
    assert complete(bench)
    assert await bench.app.emitter.emit_all()
    assert [job.file_name for job in bench.sent()] == ["orders.csv"]


async def test_a_marker_that_was_written_again_belongs_to_the_next_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.start(file_marker=".done")
    bench.drop("orders.csv", b"first")
    marker = bench.drop("orders.csv.done", b"")
    changed_ns = marker.stat().st_ctime_ns

    def next_file() -> None:
        bench.drop("orders.csv", b"second")
        while marker.stat().st_ctime_ns == changed_ns:
            marker.write_bytes(b"")

    def move_and_next(source: Path, target: Path) -> None:
        move(source, target)
        next_file()

    with monkeypatch.context() as quick:
        quick.setattr(folders, "move", move_and_next)
        assert await bench.scan_until_stable() == 1
    assert marker.exists()
    assert await bench.scan_until_stable() == 1
    names = bench.folders.claimed().values()
    assert [(bench.folders.work / name).read_bytes() for name in names] == [b"first", b"second"]
