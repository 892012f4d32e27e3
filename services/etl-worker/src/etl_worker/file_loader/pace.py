"""How fast a file goes: what comes in live goes first.

A transaction of 20,000 rows keeps processors and disk busy for half a second, and an event that comes meanwhile waits three to
four times as long as usual. So while the stream moves, chunks are small, and after each one the file rests.
"""

import asyncio
from collections import deque

from psycopg import AsyncConnection

from etl_worker.file_loader.jobs import Jobs
from etl_worker.file_loader.runs import LoadPolicy
from tillstream.clock import Clock

WINDOW_S = 5.0
SHORTEST_S = 1.0  # the worker says where it is once a second


class Pace:
    """Remembers how the stream moved, from file to file; one per runner. Until it knows, the stream is taken to move."""

    def __init__(self, jobs: Jobs, clock: Clock, policy: LoadPolicy) -> None:
        self._jobs = jobs
        self._clock = clock
        self._policy = policy
        self._looks: deque[tuple[float, int]] = deque()
        self.is_live = True

    def rows(self, most: int) -> int:
        """How many the next chunk may have, of at most so many."""
        return min(most, self._policy.live_rows) if self.is_live else most

    async def look(self, conn: AsyncConnection) -> int:
        """How many records wait in the stream. Notes whether it moves."""
        stream = await self._jobs.stream(conn)
        now = self._clock.monotonic()
        self._looks.append((now, stream.position))
        while len(self._looks) > 1 and self._looks[1][0] < now - WINDOW_S:
            self._looks.popleft()
        since, position = self._looks[0]
        if now - since >= SHORTEST_S:
            self.is_live = stream.position - position >= self._policy.live_per_second * (now - since)
        return stream.lag

    async def give_way(self, conn: AsyncConnection, seconds: float) -> None:
        """Rest after a chunk that took so long, and wait while the stream lags; never for ever: a file goes on, if slowly."""
        if self.is_live:
            await asyncio.sleep(min(seconds * (1 / self._policy.live_share - 1), self._policy.pause_limit_s))
        until = self._clock.monotonic() + self._policy.pause_limit_s
        while await self.look(conn) > self._policy.pause_at_lag:
            if self._clock.monotonic() >= until:
                return
            await asyncio.sleep(self._policy.pause_s)
