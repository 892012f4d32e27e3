"""inotify's hints that a scan may be worth it.

A hint is never relied on. Whether any come is tried out, at the start and from time to time: a network file system
takes a watch and then tells nothing, and a folder that was made anew is no longer the one that is watched.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import override

import structlog
from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_MODIFIED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from file_watcher.disk_thread import DiskThread
from tillstream.observe.health import Health
from tillstream.observe.metrics import Metrics

STOP_LIMIT_S = 2.0
PROBE_LIMIT_S = 2.0
PROBE_EVERY_S = 60.0
# Names that no scan looks at, the same in every process: what a killed one leaves, the next one takes away. They take turns,
# so that what the observer says late of the last trial's file is not taken for an answer to this one.
PROBE_NAMES = (".hints-0.tmp", ".hints-1.tmp")
# Opening and reading are not among them: the scans themselves do that.
_TELLING = frozenset({EVENT_TYPE_CLOSED, EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED})
_REMARK = "hints"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Trial:
    """One trial of whether hints come. A word that is already on its way to the loop answers the trial it was said in."""

    name: str
    heard: asyncio.Event = field(default_factory=asyncio.Event)


class Hints(FileSystemEventHandler):
    """Calls `wake` on the event loop when something changes below a folder, or when hints were lost.

    Where there are none, scans alone do the work, a moment later; log, health and metrics say so.
    """

    def __init__(
        self,
        folder: Path,
        wake: Callable[[], object],
        health: Health,
        metrics: Metrics,
        thread: DiskThread,
        make_observer: Callable[[], BaseObserver] = Observer,
    ) -> None:
        self._folder = folder
        self._wake = wake
        self._health = health
        self._metrics = metrics
        self._thread = thread
        self._make_observer = make_observer
        self._observer: BaseObserver | None = None
        self._complaints = _Complaints(self._lost)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._trials = map(_Trial, cycle(PROBE_NAMES))
        self._trial: _Trial | None = None
        self._doubted = asyncio.Event()
        self._problem: str | None = None

    def __repr__(self) -> str:
        return f"<Hints on {self._folder}: {self._problem or 'they come'}>"

    async def start(self, within_s: float = PROBE_LIMIT_S) -> None:
        """Listen, and find out within `within_s` whether there is anything to hear."""
        self._loop = asyncio.get_running_loop()
        self._metrics.hints_working.set(1)
        await self.check(within_s)

    def stop(self) -> None:
        """Returns within STOP_LIMIT_S. May be repeated."""
        self._close()

    async def run(self) -> None:
        """Never returns. Asks again every PROBE_EVERY_S, and at once where the watching itself complained."""
        while True:
            try:
                async with asyncio.timeout(PROBE_EVERY_S):
                    await self._doubted.wait()
            except TimeoutError:
                pass
            self._doubted.clear()
            await self.check()

    async def check(self, within_s: float = PROBE_LIMIT_S) -> None:
        """Write a file that no scan looks at and see whether a hint comes. Where none does, watch anew for the next time."""
        try:
            await self._thread.run(self._open)
            is_heard = await self._is_heard(within_s)
        except OSError as error:
            await self._thread.run(self._close)
            self._say(f"inotify cannot be had: {error.strerror or error}")
            return
        if not is_heard:
            await self._thread.run(self._close)
        self._say(None if is_heard else f"no hint came within {within_s:g} s of a file that was written")

    async def _is_heard(self, within_s: float) -> bool:
        self._trial = trial = next(self._trials)
        probe = self._folder / trial.name
        try:
            await self._thread.run(_write, probe)
            async with asyncio.timeout(within_s):
                await trial.heard.wait()
        except TimeoutError:
            return False
        except FileExistsError:
            return True  # another watcher tries it out at this very moment; the next time tells
        finally:
            if not self._thread.is_abandoned:
                await self._thread.run(probe.unlink, missing_ok=True)
        return True

    def _open(self) -> None:
        if self._observer is not None:
            return
        observer = self._make_observer()
        observer.schedule(self, str(self._folder), recursive=True)
        observer.start()
        self._complaints.start()
        self._observer = observer

    def _close(self) -> None:
        if self._observer is not None:
            self._complaints.stop()  # first, as the end of watching gives reason for some
            self._observer.stop()
            self._observer.join(STOP_LIMIT_S)
            self._observer = None

    def _say(self, problem: str | None) -> None:
        self._metrics.hints_working.set(problem is None)
        self._health.remark(_REMARK, problem and f"Files are found by scans alone: {problem}.")
        if problem is not None and self._problem is None:
            _log.warning("There are no hints from inotify; scans find the files.", problem=problem)
        if problem is None and self._problem is not None:
            _log.info("There are hints from inotify again.")
        self._problem = problem

    @override
    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called on a thread of the observer."""
        if event.event_type not in _TELLING or (
            event.is_directory and event.event_type == EVENT_TYPE_MODIFIED
        ):
            return  # a folder changes with whatever comes or goes in it: what comes is told by itself
        name = Path(os.fsdecode(event.src_path)).name
        trial = self._trial  # once: it may change at any moment
        if trial is not None and name == trial.name:
            self._on_loop(trial.heard.set)
        elif name not in PROBE_NAMES:
            self._on_loop(self._wake)

    def _lost(self) -> None:
        """Called on any thread: the watching itself complained, as when too much happened at once."""
        self._on_loop(self._count_lost)

    def _count_lost(self) -> None:
        self._metrics.hints_lost.inc()
        self._doubted.set()
        self._wake()

    def _on_loop(self, call: Callable[[], object]) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed by now: nobody is left to be told
            self._loop.call_soon_threadsafe(call)


def _write(probe: Path) -> None:
    probe.unlink(missing_ok=True)
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


class _Complaints(logging.Handler):
    """Hears what the watching library logs of itself: an overflow of the kernel's queue, a watch that cannot be had.

    It tells its caller nothing of them. The lines themselves go where all lines go.
    """

    def __init__(self, heard: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard
        self._source = logging.getLogger("watchdog")

    def start(self) -> None:
        self._source.addHandler(self)

    def stop(self) -> None:
        self._source.removeHandler(self)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._heard()
