"""Folders on a mount that is slow, or whose server is gone: the loop goes on, and health, log and metrics say what there is to say."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from errno import ENOSPC
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from file_watcher import claim
from file_watcher.app import SCAN_LIMIT_S
from file_watcher.disk_thread import TOLD_AFTER_S
from file_watcher.stability import Stability
from file_watcher.stuck import Stuck
from file_watcher.waiting import Waiting
from file_watcher.watch import Watch
from tillstream.clock import SystemClock
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.folders import put_to_work
from tillstream.kafka.memory import MemoryBroker
from tillstream.testing.waiting import eventually

from .conftest import STABLE_S, Bench
from .slow_folder import Turns, slow

pytestmark = pytest.mark.unit

DEADLINE_S = 20.0
NAMES = 20
PARTITIONS = 3
ON_THE_DISK = frozenset({"open", "os.scandir", "os.listdir", "os.rename", "os.remove", "os.link", "os.mkdir"})


class Ear:
    """Told of whatever this process does with a file below `folder`. An audit hook can never be taken off."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.tell: Callable[[], None] = lambda: None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or event not in ON_THE_DISK:
            return
        path = arguments[0]
        if not isinstance(path, int | None) and os.fsdecode(path).startswith(str(self.folder)):
            self.tell()


@pytest.fixture(scope="module")
def the_ear() -> Ear:
    return Ear()


@pytest.fixture
def ear(the_ear: Ear) -> Iterator[Ear]:
    yield the_ear
    the_ear.folder = None


async def run_until(bench: Bench, is_enough: Callable[[], bool]) -> None:
    """From the start of a service to its end, all files claimed and told. Itself it does not look at the disk."""
    bench.broker = MemoryBroker(SystemClock())
    bench.broker.create_topic(FILES_TOPIC, PARTITIONS)
    app = bench.start(clock=SystemClock(), file_stable_s=0, file_marker=".done", file_emit_again_s=0.1)
    stop = asyncio.Event()
    async with app.running():
        loops = asyncio.create_task(app.work(stop))
        await eventually(
            lambda: len({job.job_id for job in bench.sent()}) == NAMES and is_enough(), DEADLINE_S
        )
        stop.set()
        await asyncio.wait_for(loops, DEADLINE_S)


def drop_many(bench: Bench) -> None:
    for number in range(NAMES):
        bench.drop(f"{number}.csv")
        bench.drop(f"{number}.csv.done", b"")


async def test_whatever_is_done_on_the_disk_the_loop_goes_on(bench: Bench, ear: Ear) -> None:
    drop_many(bench)
    turns = Turns()
    ear.tell = turns.wait_for_one
    ear.folder = bench.folders.root
    await run_until(bench, lambda: len(bench.sent()) > NAMES)  # again: from a listing
    assert turns.count > NAMES
    assert turns.stood_still == 0


async def test_whatever_is_looked_at_the_loop_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_many(bench)
    turns = Turns()
    monkeypatch.setattr(os, "scandir", slow(bench.folders.input, turns.wait_for_one))
    await run_until(bench, lambda: turns.count >= 2 * NAMES)
    assert turns.stood_still == 0


@pytest.mark.parametrize(
    ("part", "walk"),
    [
        (Stability, "stable"),
        (Stability, "next_stable_in_s"),
        (Waiting, "oldest_s"),
        (Watch, "_tell_what_stays"),
        (Stuck, "end_of_scan"),
    ],
)
async def test_whatever_walks_over_all_names_the_loop_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, part: type, walk: str
) -> None:
    drop_many(bench)
    turns = Turns()
    true = getattr(part, walk)

    def waiting(*arguments: object) -> object:
        turns.wait_for_one()
        return true(*arguments)

    monkeypatch.setattr(part, walk, waiting)
    await run_until(bench, lambda: turns.count > 0)
    assert turns.stood_still == 0


async def test_a_scan_that_is_slow_and_moves_forward_is_alive(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, silent_s = [], list[float]()
    success = bench.app.metrics.last_success_timestamp_seconds.labels("scan")._value

    def slowly() -> None:
        silent_s.append(bench.clock.now().timestamp() - success.get())
        bench.clock.move(SCAN_LIMIT_S / 2)
        reports.append(bench.app.health.live())

    for number in range(NAMES):
        bench.drop(f"{number}.csv")
    monkeypatch.setattr(os, "scandir", slow(bench.folders.input, slowly))
    await bench.app.watch.scan_once()
    assert len(reports) == NAMES
    assert [each.problems for each in reports if not each.ok] == []
    assert silent_s == [0.0] * NAMES  # no alert takes it for a blind one


async def test_after_a_scan_that_failed_only_the_end_of_one_is_a_success(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan that always fails must not count as one that goes on for ever."""
    success = bench.app.metrics.last_success_timestamp_seconds.labels("scan")._value
    bench.drop("orders.csv")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)

    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(claim, "put_to_work", full)
    with pytest.raises(OSError, match="No space"):
        await bench.app.watch.scan_once()
    failed_at = bench.clock.now().timestamp()
    bench.clock.move(SCAN_LIMIT_S)
    with pytest.raises(OSError, match="No space"):
        await bench.app.watch.scan_once()
    assert success.get() == failed_at


class Mute:
    """The server of the mount is gone, until it is back."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_asked = Event()
        self.is_back = Event()
        self.looks = 0
        monkeypatch.setattr(os, "scandir", slow(bench.folders.input, self._look))

    def _look(self) -> None:
        self.looks += 1
        self.is_asked.set()
        self.is_back.wait(DEADLINE_S)


async def asked(bench: Bench, path: str) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{bench.app.ops.port}{path}")


async def test_a_mount_that_never_answers_is_told_of_until_it_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.app.emitter.emit_all()
    bench.drop("orders.csv")
    stop = asyncio.Event()
    waits = bench.app.metrics.waiting_for_dependency.labels("folders")._value
    with capture_logs() as logs:
        async with bench.app.running():
            mute = Mute(bench, monkeypatch)
            loops = asyncio.create_task(bench.app.work(stop))
            await eventually(mute.is_asked.is_set, DEADLINE_S)
            assert (await asked(bench, "/health/live")).status_code == 200
            bench.clock.move(TOLD_AFTER_S)
            await eventually(lambda: waits.get() == 1, DEADLINE_S)
            answer = await asked(bench, "/health/ready")
            assert answer.status_code == 503
            assert answer.json()["problems"]["folders"].startswith("The folders do not answer: the scan has")
            bench.clock.move(SCAN_LIMIT_S)
            assert (await asked(bench, "/health/live")).status_code == 503
            mute.is_back.set()
            await eventually(lambda: waits.get() == 0, DEADLINE_S)
            assert (await asked(bench, "/health/live")).status_code == 200

            def is_sent() -> bool:
                bench.clock.move(STABLE_S)
                return bool(bench.sent())

            await eventually(is_sent, DEADLINE_S)
            assert (await asked(bench, "/health/ready")).status_code == 200
            stop.set()
            await asyncio.wait_for(loops, DEADLINE_S)
    told = [each["event"] for each in logs if each["event"].startswith(("ALARM", "The folders"))]
    assert told == ["ALARM: the folders do not answer.", "The folders answer again."]


async def test_a_scan_that_nobody_waits_for_looks_at_no_further_name(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(NAMES):
        bench.drop(f"{number}.csv")
    mute = Mute(bench, monkeypatch)
    scan = asyncio.create_task(bench.app.watch.scan_once())
    await eventually(mute.is_asked.is_set, DEADLINE_S)
    scan.cancel()
    await asyncio.sleep(0)
    mute.is_back.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(scan, DEADLINE_S)
    assert mute.looks == 1


async def test_a_claim_that_is_under_way_comes_to_its_end_before_the_stop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.drop("orders.csv")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)
    begun, may_end = Event(), Event()
    true = put_to_work

    def slowly(*arguments: Any) -> None:
        begun.set()
        may_end.wait(DEADLINE_S)
        true(*arguments)

    monkeypatch.setattr(claim, "put_to_work", slowly)
    scan = asyncio.create_task(bench.app.watch.scan_once())
    await eventually(begun.is_set, DEADLINE_S)
    scan.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(scan, DEADLINE_S)
    assert list(bench.claimed()) == ["orders.csv"]


async def test_a_claim_that_is_taken_back_is_told_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emitter lists what is claimed while a claim is between its rename and the look at what was renamed."""
    path = bench.drop("orders.csv", b"first")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)
    turns, loop = Turns(), asyncio.get_running_loop()
    true = claim._is_same
    emitting = []

    def replaced(*arguments: Any) -> bool:
        emitting.append(asyncio.run_coroutine_threadsafe(bench.app.emitter.emit_all(), loop))
        for _ in range(1_000):
            turns.wait_for_one()
        return true(*arguments) and False

    monkeypatch.setattr(claim, "_is_same", replaced)
    assert await bench.app.watch.scan_once() == 0
    assert await asyncio.wrap_future(emitting[0])
    assert bench.sent() == []
    assert path.read_bytes() == b"first"
