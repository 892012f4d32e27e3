"""The loop: scan, claim what has stopped changing, tell the emitter, wait for the next scan or a hint. The disk has a thread."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from file_watcher.claim import Claimer
from file_watcher.disk_thread import DiskThread
from file_watcher.emit import Emitter
from file_watcher.markers import MarkerRule
from file_watcher.scan import MAX_NAMES, Dropped, Found, InputFolder, Unfinished
from file_watcher.stability import Stability
from file_watcher.stuck import Obstacle, Stuck
from file_watcher.waiting import Waiting
from tillstream.clock import Clock
from tillstream.contracts.file_meta import is_meta
from tillstream.folders import Folders
from tillstream.observe.health import Dependency, Progress
from tillstream.observe.metrics import Metrics

# What the DAG writes at its very end; whether it may be seen must not keep dropped files from being taken.
NIGHTLY_EXPORT = "daily_revenue.csv"
TOLD_EVERY_S = 1.0  # that a scan moves on

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """`gap_s` keeps a partner who writes without pause from being scanned without pause."""

    default_source: str
    markers: MarkerRule
    scan_s: float = 1.0
    gap_s: float = 0.1
    max_names: int = MAX_NAMES


class Watch:
    """One scan after the other. A disk that fails is waited for."""

    def __init__(
        self,
        folders: Folders,
        claimer: Claimer,
        stability: Stability[Dropped],
        stuck: Stuck,
        abandoned: Stability[Unfinished],
        emitter: Emitter,
        policy: WatchPolicy,
        clock: Clock,
        metrics: Metrics,
        disk: Dependency,
        progress: Progress,
        thread: DiskThread,
        claiming: asyncio.Lock,
    ) -> None:
        self._folders = folders
        self._input = InputFolder(folders.input, policy.default_source, policy.markers, policy.max_names)
        self._claimer = claimer
        self._stability = stability
        self._stuck = stuck
        self._abandoned = abandoned
        self._emitter = emitter
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._disk = disk
        self._progress = progress
        self._thread = thread
        self._claiming = claiming
        self._waiting = Waiting(clock)
        self._hint = asyncio.Event()
        self._has_finished_claims = False
        self._has_failed = False
        self._told_at = float("-inf")

    def __repr__(self) -> str:
        return f"<Watch of {self._folders.input}>"

    def hint(self) -> None:
        """Something changed in the input folder."""
        self._hint.set()

    async def run(self) -> None:
        """Never returns."""
        while True:
            self._hint.clear()
            try:
                await self.scan_once()
                self._disk.reached()
                self._has_failed = False
                self._metrics.succeeded("scan", self._clock)
            except OSError as error:
                self._has_failed = True
                self._disk.waiting(f"The folders cannot be read or written: {error}")
                _log.error("A scan failed and will be tried again.", problem=str(error))
            await self._rest()

    async def scan_once(self) -> int:
        """Claim whatever is stable; the number of files claimed. Raises OSError where a folder cannot be read.

        A file that cannot be moved does not keep the others waiting: its error is raised at the end.
        """
        if not self._has_finished_claims:
            async with self._claiming:  # no job is sent before: its file might be gone from work/ else
                await self._thread.run(self._claimer.finish_claims, self._step)
            self._has_finished_claims = True
        claimed, failure = await self._claim_all(await self._thread.run(self._look))
        await self._thread.run(self._stuck.end_of_scan)
        self._progress.touch()
        if failure is not None:
            raise failure
        return claimed

    def _step(self) -> None:
        self._thread.step()
        self._moves_on()

    def _moves_on(self) -> None:
        """A scan of very many names, or of a slow disk, takes minutes, and is no blind one: it counts as one that succeeds
        until it fails. After one that failed only its end counts."""
        self._progress.touch()
        now = self._clock.monotonic()
        if not self._has_failed and now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            self._metrics.succeeded("scan", self._clock)

    def _look(self) -> list[Dropped]:
        """All that walks over the names of a scan; what may be claimed."""
        found = self._input.scan(self._step)
        self._measure(found)
        stable = self._stability.stable(found.dropped)
        self._tell_what_stays(found, stable)
        return [each for each in stable if self._is_finished(each)]

    def _measure(self, found: Found) -> None:
        self._metrics.folder_files.labels("input").set(len(found.dropped))
        self._metrics.oldest_waiting_file_age_seconds.set(self._waiting.oldest_s(found.dropped))
        disk = shutil.disk_usage(self._folders.input)
        self._metrics.data_free_bytes.set(disk.free)
        self._metrics.data_size_bytes.set(disk.total)
        self._metrics.nightly_export_timestamp_seconds.set(
            _written_at_s(self._folders.output / NIGHTLY_EXPORT)
        )

    async def _claim_all(self, finished: Sequence[Dropped]) -> tuple[int, OSError | None]:
        claimed = 0
        failure: OSError | None = None
        for each in finished:
            self._moves_on()
            try:
                claimed += await self._claim(each)
            except OSError as error:
                failure = error
                self._has_failed = True
        return claimed, failure

    async def _claim(self, dropped: Dropped) -> bool:
        async with self._claiming:
            job = await self._thread.run(self._claimer.claim, dropped)
            if job is not None:
                self._metrics.files_claimed.inc()
                self._emitter.take(job)
            self._emitter.refuse(self._claimer.refused())
        return job is not None

    def _is_finished(self, dropped: Dropped) -> bool:
        """What is no regular file is refused, whether somebody finished it or not; a meta file goes with its file."""
        needs_none = not self._policy.markers.is_on or not dropped.is_regular or is_meta(dropped.name)
        return needs_none or dropped.marker is not None

    def _tell_what_stays(self, found: Found, stable: Sequence[Dropped]) -> None:
        resting = {each.place for each in stable}
        for each in found.dropped:
            if not self._is_finished(each):
                problem = f"no {self._policy.markers.suffix} that is newer than it has lain beside it"
                self._stuck.wait(each.place, Obstacle.NO_MARKER, problem)
            elif each.place not in resting:
                self._stuck.wait(each.place, Obstacle.CHANGING, "it has not come to rest")
        for left in self._abandoned.stable(found.unfinished):
            problem = f"for {self._abandoned.stable_s:g} s nobody has written to it, and its name is that of an unfinished file"
            self._stuck.tell(left.place, Obstacle.UNFINISHED, problem)
        for path in found.lone_markers:
            self._stuck.wait(path, Obstacle.NO_FILE, "there has been no file for it")
        for path, problem in found.passed_over.items():
            self._stuck.tell(path, Obstacle.FOLDER, problem)
        if found.is_cut_short:
            problem = (
                f"the first {self._policy.max_names} names are looked at; the others when these are gone"
            )
            self._stuck.tell(self._folders.input, Obstacle.TOO_MANY, problem)

    async def _rest(self) -> None:
        due_s = await self._thread.run(self._stability.next_stable_in_s)
        rest_s = self._policy.scan_s if due_s is None else min(self._policy.scan_s, due_s)
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(rest_s):
                await self._hint.wait()
        except TimeoutError:
            return
        rested_s = self._clock.monotonic() - began
        await asyncio.sleep(max(0.0, self._policy.gap_s - rested_s))


def _written_at_s(path: Path) -> float:
    """Unix time; 0 where there is no such file, or none that may be seen."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
