"""Waiting for a server that is away: how long, and saying so once."""

import random
from dataclasses import dataclass

import structlog

from tillstream.clock import Clock
from tillstream.errors import Retryable
from tillstream.kafka.watch import LoopWatch

POSTGRES = "postgres"
KAFKA = "kafka"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits grow by doubling from `first_s` to `cap_s`, each shortened by up to a half at random.

    The cap is how late one may notice that a server is back; one attempt in three seconds troubles no server.
    """

    first_s: float = 0.1
    cap_s: float = 3.0

    def wait_s(self, failures: int) -> float:
        """How long to wait after this many failures in a row (≥ 1)."""
        longest = min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


class Outages:
    """Which servers are away, since when, and how often in a row something failed."""

    def __init__(self, backoff: Backoff, watch: LoopWatch, clock: Clock) -> None:
        self._backoff = backoff
        self._watch = watch
        self._clock = clock
        self._since: dict[str, float] = {}
        self._failures = 0
        self._failed_at = clock.monotonic()

    def failed(self, error: Retryable) -> float:
        """Something could not be done now: the seconds to wait. Logs when this is new."""
        server = error.dependency
        now = self._clock.monotonic()
        if now - self._failed_at > 2 * self._backoff.cap_s:
            self._failures = 0
        self._failures += 1
        self._failed_at = now
        self._watch.retried(error)
        if server not in self._since:
            self._since[server] = now
            _log.warning("Waiting for a server.", server=server, problem=str(error))
        self._watch.waiting(server, str(error))
        return self._backoff.wait_s(self._failures)

    def reached(self, server: str) -> None:
        """The server does what it is asked."""
        since = self._since.pop(server, None)
        if since is not None:
            _log.info("A server is back.", server=server, away_s=round(self._clock.monotonic() - since, 3))
            self._watch.reached(server)

    def succeeded(self) -> None:
        """A batch was committed: the next failure is a new one, and whatever its work needs is there."""
        self._failures = 0
        for server in [each for each in self._since if each != KAFKA]:
            self.reached(server)
