"""Work on a disk that may take its time, or may never come back: a thread does it, and the event loop goes on meanwhile."""

import asyncio
import concurrent.futures
from collections.abc import Callable
from threading import Thread
from typing import Any

import structlog

from tillstream.clock import Clock
from tillstream.observe.health import Voice

# Longer than a disk that answers takes for one look at a name, or for one claim.
TOLD_AFTER_S = 10.0
LOOK_EVERY_S = 1.0
# A claim that is under way comes to its end in less.
STOP_LIMIT_S = 5.0

_log = structlog.get_logger()


class DiskThread:
    """Runs one call after the other for one loop, each on a thread of its own that ends with it.

    What such a call uses belongs to it until it has ended; so nothing is locked. A system call on a mount whose server is gone
    comes back late or never, and nothing can end it: after TOLD_AFTER_S without a step, log, health and metrics say so, for as
    long as it lasts. The end of the process does not wait for such a thread.
    """

    def __init__(self, name: str, clock: Clock, folders: Voice, stop_limit_s: float = STOP_LIMIT_S) -> None:
        self._name = name
        self._clock = clock
        self._folders = folders
        self._stop_limit_s = stop_limit_s
        self._stepped_at = clock.monotonic()
        self._is_told = False
        self._is_leaving = False

    def __repr__(self) -> str:
        return f"<DiskThread of {self._name}: {self._folders.problem or 'answers'}>"

    @property
    def is_abandoned(self) -> bool:
        """Whether a call has not come back and nobody waits for it any more: another one would only be lost, too."""
        return self._is_leaving

    def step(self) -> None:
        """Called within a long call, after each thing done: it goes on. Raises CancelledError where nobody waits for it any more."""
        if self._is_leaving:
            raise asyncio.CancelledError
        self._stepped_at = self._clock.monotonic()

    async def run[**P, T](self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the call returns or raises, however long it takes.

        Where the waiting is cancelled, a call that comes to its end, or to a step, within the stop limit is waited for, so that
        nothing is left half done; another one is left to itself.
        """
        self._stepped_at = self._clock.monotonic()
        outcome = concurrent.futures.Future[T]()

        def work() -> None:
            try:
                outcome.set_result(call(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - the edge of the thread: whoever waits gets it
                outcome.set_exception(error)

        Thread(target=work, name=self._name, daemon=True).start()
        ended = asyncio.wrap_future(outcome)
        try:
            await self._wait_for(ended)
        except asyncio.CancelledError:
            await self._leave(ended)
            raise
        return ended.result()

    async def _wait_for(self, ended: asyncio.Future[Any]) -> None:
        while not (await asyncio.wait({ended}, timeout=LOOK_EVERY_S))[0]:
            silent_s = self._clock.monotonic() - self._stepped_at
            if silent_s >= TOLD_AFTER_S:
                self._tell(silent_s)
            elif self._is_told:
                self._take_back()
        if self._is_told:
            self._take_back()

    async def _leave(self, ended: asyncio.Future[Any]) -> None:
        self._is_leaving = True
        ended.add_done_callback(_heard)
        if (await asyncio.wait({ended}, timeout=self._stop_limit_s))[0]:
            self._is_leaving = False
            return
        _log.error(
            "The folders do not answer; the next start finishes what was begun.",
            part=self._name,
            limit_s=self._stop_limit_s,
        )

    def _tell(self, silent_s: float) -> None:
        self._folders.waiting(f"The folders do not answer: the {self._name} has waited for {silent_s:.0f} s.")
        if not self._is_told:
            _log.error("ALARM: the folders do not answer.", part=self._name, silent_s=round(silent_s, 1))
        self._is_told = True

    def _take_back(self) -> None:
        self._folders.reached()
        _log.info("The folders answer again.", part=self._name)
        self._is_told = False


def _heard(ended: asyncio.Future[Any]) -> None:
    """What went wrong where nobody waits any more is no news."""
    if not ended.cancelled():
        ended.exception()
