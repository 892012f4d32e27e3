"""With markers on, a file is taken when its partner says so, and the marker goes with it."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from file_watcher.markers import MAX_MARKER_BYTES
from file_watcher.stuck import Obstacle
from tillstream.testing.waiting import eventually

from .conftest import ALARM_AFTER_S, STABLE_S, Bench, alarms

pytestmark = pytest.mark.unit


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.start(file_marker=".done")
    return made


async def scans_for(bench: Bench, seconds: float) -> int:
    claimed = 0
    for _ in range(int(seconds / STABLE_S) + 1):
        claimed += await bench.app.watch.scan_once()
        bench.clock.move(STABLE_S)
    return claimed


async def rewritten_later(path: Path, than: Path) -> None:
    """The clock of a file system ticks every few milliseconds."""

    def is_later() -> bool:
        path.write_bytes(b"second")
        return path.stat().st_ctime_ns > than.stat().st_ctime_ns

    await eventually(is_later)


@pytest.mark.parametrize("folder", ["", "acme/"])
async def test_a_file_is_taken_once_its_marker_is_there_and_the_marker_goes(
    bench: Bench, folder: str
) -> None:
    bench.drop(f"{folder}orders.csv", b"content")
    assert await scans_for(bench, 5 * STABLE_S) == 0
    marker = bench.drop(f"{folder}orders.csv.done", b"")
    assert await bench.app.watch.scan_once() == 1
    assert bench.claimed() == {"orders.csv": b"content"}
    assert not marker.exists()


async def test_without_the_setting_a_name_that_ends_so_is_a_file(bench: Bench) -> None:
    bench.start(file_marker=None)
    bench.drop("orders.csv.done", b"")
    bench.drop("orders.csv")
    assert await bench.scan_until_stable() == 2


async def test_a_marker_does_not_make_a_changing_file_a_finished_one(bench: Bench) -> None:
    path = bench.drop("orders.csv", b"first")
    marker = bench.drop("orders.csv.done", b"")
    assert await bench.app.watch.scan_once() == 0
    bench.clock.move(STABLE_S)
    await rewritten_later(path, marker)
    assert await scans_for(bench, 3 * STABLE_S) == 0
    marker.write_bytes(b"")
    assert await bench.scan_until_stable() == 1
    assert bench.claimed() == {"orders.csv": b"second"}


async def test_a_file_without_its_marker_raises_one_alarm_and_stays(bench: Bench) -> None:
    bench.drop("orders.csv")
    with capture_logs() as logs:
        assert await scans_for(bench, ALARM_AFTER_S - STABLE_S) == 0
    assert alarms(logs) == []
    with capture_logs() as logs:
        assert await scans_for(bench, 2 * ALARM_AFTER_S) == 0
    assert alarms(logs) == ["'orders.csv'"]
    assert bench.stuck(Obstacle.NO_MARKER) == 1


async def test_a_marker_without_its_file_raises_one_alarm_and_stays(bench: Bench) -> None:
    marker = bench.drop("acme/orders.csv.done", b"")
    bench.drop("acme/users.csv")
    bench.drop("acme/users.csv.done", b"")
    with capture_logs() as logs:
        assert await scans_for(bench, 2 * ALARM_AFTER_S) == 1
    assert alarms(logs) == ["'acme/orders.csv.done'"]
    assert bench.stuck(Obstacle.NO_FILE) == 1
    assert marker.exists()


async def test_what_can_never_be_taken_needs_no_marker_and_takes_it_along(bench: Bench) -> None:
    os.mkfifo(bench.folders.input / "pipe.csv")
    bench.drop("big.csv", b"x" * (bench.max_bytes + 1))
    bench.drop("big.csv.done", b"")
    assert await bench.scan_until_stable() == 0
    assert sorted(path.name.partition("__")[2] for path in bench.refused()) == [
        "big.csv",
        "pipe.csv",
    ]
    assert list(bench.folders.input.iterdir()) == []


async def test_a_marker_that_is_no_plain_file_is_none(bench: Bench) -> None:
    bench.drop("orders.csv")
    (bench.folders.input / "orders.csv.done").symlink_to("orders.csv")
    assert await bench.scan_until_stable() == 0
    assert [path.name.partition("__")[2] for path in bench.refused()] == ["orders.csv.done"]
    assert [path.name for path in bench.folders.input.iterdir()] == ["orders.csv"]


async def test_data_under_the_name_of_a_marker_is_not_removed(bench: Bench) -> None:
    bench.drop("orders.csv")
    data = bench.drop("orders.csv.done", b"x" * (MAX_MARKER_BYTES + 1))
    assert await bench.scan_until_stable() == 0
    bench.drop("orders.csv.done.done", b"")
    assert await bench.scan_until_stable() == 1
    assert not data.exists()
    assert list(bench.claimed()) == ["orders.csv.done"]


async def test_a_marker_that_a_crash_left_goes_at_the_next_start_and_one_for_the_next_file_stays(
    bench: Bench,
) -> None:
    for name in ("left.csv", "next.csv"):
        bench.drop(name)
        bench.drop(f"{name}.done", b"")
    left, following = (bench.folders.input / f"{name}.csv.done" for name in ("left", "next"))
    aside = bench.folders.root / "aside"
    assert await bench.scan_until_stable() == 2
    sidecars = [bench.folders.sidecar(job_id) for job_id in bench.folders.claimed()]
    left.write_bytes(b"")
    for sidecar in sidecars:  # as if the job had been written after the marker, as a claim does it

        def is_later(sidecar: Path = sidecar) -> bool:
            sidecar.rename(aside)
            aside.rename(sidecar)
            return sidecar.stat().st_ctime_ns > left.stat().st_ctime_ns

        await eventually(is_later)
    await rewritten_later(bench.drop("next.csv"), max(sidecars, key=lambda path: path.stat().st_ctime_ns))
    following.write_bytes(b"")
    bench.start(file_marker=".done")
    assert await bench.app.watch.scan_once() == 0
    assert not left.exists()
    assert following.exists()
    assert await bench.scan_until_stable() == 1


@pytest.mark.parametrize("suffix", ["done", ".", ".tmp", ".PART", "./x", ".done.", "." + "x" * 13])
def test_a_suffix_that_could_mean_something_else_is_refused(bench: Bench, suffix: str) -> None:
    with pytest.raises(ValidationError, match="unfinished"):
        bench.start(file_marker=suffix)
