"""The loop: scan, claim what has stopped changing, tell the emitter, wait for the next scan or a hint."""

import asyncio
from dataclasses import dataclass

import structlog

from file_watcher.claim import Claimer
from file_watcher.emit import Emitter
from file_watcher.scan import InputFolder
from file_watcher.stability import Stability
from tillstream.clock import Clock
from tillstream.folders import Folders
from tillstream.observe.health import Dependency, Progress
from tillstream.observe.metrics import Metrics

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """`gap_s` keeps a partner who writes without pause from being scanned without pause."""

    default_source: str
    scan_s: float = 1.0
    gap_s: float = 0.1


class Watch:
    """One scan after the other. A disk that fails is waited for."""

    def __init__(
        self,
        folders: Folders,
        claimer: Claimer,
        stability: Stability,
        emitter: Emitter,
        policy: WatchPolicy,
        clock: Clock,
        metrics: Metrics,
        disk: Dependency,
        progress: Progress,
    ) -> None:
        self._folders = folders
        self._input = InputFolder(folders.input, policy.default_source)
        self._claimer = claimer
        self._stability = stability
        self._emitter = emitter
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._disk = disk
        self._progress = progress
        self._hint = asyncio.Event()

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
                self._metrics.succeeded("scan", self._clock)
            except OSError as error:
                self._disk.waiting(f"The folders cannot be read or written: {error}")
                _log.error("A scan failed and will be tried again.", problem=str(error))
            await self._rest()

    async def scan_once(self) -> int:
        """Claim whatever is stable; the number of files claimed. Raises OSError where a folder cannot be read.

        A file that cannot be moved does not keep the others waiting: its error is raised at the end.
        """
        dropped = self._input.scan()
        self._metrics.folder_files.labels("input").set(len(dropped))
        self._claimer.forget_others({each.path for each in dropped})
        claimed = 0
        failure: OSError | None = None
        for each in self._stability.stable(dropped):
            self._progress.touch()
            try:
                claimed += self._claimer.claim(each) is not None
            except OSError as error:
                failure = error
            self._emitter.wake()
            await asyncio.sleep(0)  # lets the emitter and the ops port have their turn
        self._metrics.files_claimed.inc(claimed)
        self._progress.touch()
        if failure is not None:
            raise failure
        return claimed

    async def _rest(self) -> None:
        due_s = self._stability.next_stable_in_s()
        rest_s = self._policy.scan_s if due_s is None else min(self._policy.scan_s, due_s)
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(rest_s):
                await self._hint.wait()
        except TimeoutError:
            return
        rested_s = self._clock.monotonic() - began
        await asyncio.sleep(max(0.0, self._policy.gap_s - rested_s))
