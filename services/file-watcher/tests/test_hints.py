"""Whether hints come is tried out and told; where none come, scans find every file."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from structlog.testing import capture_logs
from watchdog.events import FileClosedEvent
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor
from watchdog.observers.polling import PollingObserver

from file_watcher.disk_thread import DiskThread
from file_watcher.hints import PROBE_NAMES, Hints
from tillstream.clock import SystemClock
from tillstream.testing.waiting import eventually

from .conftest import Bench

pytestmark = pytest.mark.unit

HOUR_S = 3_600
BRIEFLY_S = 0.1
SELDOM_S = 60.0
DEADLINE_S = 10.0


def mute() -> BaseObserver:
    """Looks every hour: as good as a network file system, which takes a watch and tells nothing."""
    return PollingObserver(timeout=HOUR_S)


def in_turn(*makers: Callable[[], BaseObserver]) -> Callable[[], BaseObserver]:
    turns = iter(makers)

    def make() -> BaseObserver:
        return next(turns)()

    return make


class Exhausted(type(Observer())):  # type: ignore[misc]  # the observer of the platform
    """The system's limit on watches is reached."""

    def start(self) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")


def hints_of(bench: Bench, make_observer: Callable[[], BaseObserver]) -> Hints:
    app = bench.app
    thread = DiskThread("hints", bench.clock, app.health.dependency("folders").voice())
    app.hints = Hints(app.folders.input, app.watch.hint, app.health, app.metrics, thread, make_observer)
    return app.hints


@asynccontextmanager
async def started(hints: Hints, within_s: float = DEADLINE_S) -> AsyncIterator[Hints]:
    await hints.start(within_s)
    yield hints
    hints.stop()


def working(bench: Bench) -> float:
    return float(bench.app.metrics.hints_working._value.get())


async def remarks(bench: Bench) -> dict[str, str]:
    async with httpx2.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{bench.app.ops.port}/health/ready")
    assert answer.status_code == 200
    return dict(answer.json().get("remarks", {}))


async def test_hints_that_come_are_no_matter_of_talk(bench: Bench) -> None:
    with capture_logs() as logs:
        async with started(hints_of(bench, Observer)):
            assert working(bench) == 1
    assert logs == []
    assert list(bench.folders.input.iterdir()) == []


@pytest.mark.parametrize(("make_observer", "said"), [(mute, "no hint came"), (Exhausted, "limit reached")])
async def test_a_folder_without_hints_is_told_of_and_its_files_are_found(
    bench: Bench, make_observer: Callable[[], BaseObserver], said: str
) -> None:
    hints_of(bench, make_observer)
    stop = asyncio.Event()
    await bench.app.emitter.emit_all()
    with capture_logs() as logs:
        async with bench.app.running():
            told = await remarks(bench)
            loops = asyncio.create_task(bench.app.work(stop))
            bench.drop("orders.csv")

            def is_claimed() -> bool:
                bench.clock.move(1)
                return bool(bench.folders.claimed())

            await eventually(is_claimed)
            stop.set()
            await asyncio.wait_for(loops, DEADLINE_S)
    assert said in told["hints"]
    assert working(bench) == 0
    (warning,) = [each for each in logs if each["log_level"] == "warning"]
    assert said in warning["problem"]
    assert list(bench.folders.input.iterdir()) == []


async def test_hints_that_end_are_told_of_once_and_so_is_their_return(bench: Bench) -> None:
    async with started(hints_of(bench, in_turn(Observer, mute, mute, Observer))) as hints:
        with capture_logs() as logs:
            for expected in (0, 0, 1):
                hints._close()
                await hints.check(BRIEFLY_S if not expected else DEADLINE_S)
                assert working(bench) == expected
    assert [each["event"] for each in logs] == [
        "There are no hints from inotify; scans find the files.",
        "There are hints from inotify again.",
    ]


async def test_a_word_on_the_last_trial_that_is_still_on_its_way_is_no_answer_to_this_one(
    bench: Bench,
) -> None:
    async with started(hints_of(bench, in_turn(Observer, mute))) as hints:
        hints._close()
        hints.on_any_event(FileClosedEvent(str(bench.folders.input / PROBE_NAMES[0])))
        await hints.check(BRIEFLY_S)
        assert working(bench) == 0


async def test_a_folder_that_was_made_anew_is_watched_again(bench: Bench) -> None:
    async with started(hints_of(bench, Observer)) as hints:
        bench.folders.input.rename(bench.folders.root / "former")
        bench.folders.input.mkdir()
        await hints.check(BRIEFLY_S)
        assert working(bench) == 0
        await hints.check(DEADLINE_S)
        assert working(bench) == 1


async def test_what_a_killed_process_left_of_its_trial_does_no_harm(bench: Bench) -> None:
    (bench.folders.input / PROBE_NAMES[0]).symlink_to(bench.folders.root / "elsewhere")
    async with started(hints_of(bench, Observer)):
        assert working(bench) == 1
    assert not (bench.folders.root / "elsewhere").exists()
    assert list(bench.folders.input.iterdir()) == []


async def test_an_overflow_is_counted_and_followed_by_a_scan(bench: Bench) -> None:
    app = bench.start(clock=SystemClock(), file_scan_s=SELDOM_S, file_stable_s=0)
    stop = asyncio.Event()
    async with app.running():
        loops = asyncio.create_task(app.work(stop))
        scans = app.metrics.last_success_timestamp_seconds.labels("scan")
        await eventually(lambda: scans._value.get() > 0)
        before = scans._value.get()
        overflow = InotifyEvent(WatchDescriptor(-1), Mask(InotifyConstants.IN_Q_OVERFLOW), 0, b"")
        InotifyFD.get_instance().handle_event(overflow)
        await eventually(lambda: app.metrics.hints_lost._value.get() >= 1)
        await eventually(lambda: scans._value.get() > before)
        assert working(bench) == 1
        stop.set()
        await asyncio.wait_for(loops, DEADLINE_S)
