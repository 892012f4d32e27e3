"""One job on its way: what the steps of a load hand to each other."""

from dataclasses import dataclass

from psycopg import AsyncConnection

from etl_worker.file_loader.dialects import Dialect
from etl_worker.file_loader.jobs import Job
from tillstream.clock import Clock
from tillstream.csv.encoding import Encoding


@dataclass(frozen=True, slots=True)
class LoadPolicy:
    """`pause_at_lag`: records that wait in the stream before a file makes way, for `pause_limit_s` per chunk at most.

    While the stream moves, by `live_per_second` records or more, chunks have `live_rows` rows and take `live_share` of the time.

    After more than `max_rejects` refused rows a file fails. `encoding` is that of files that are no UTF-8 and of which nobody says what else they are; without it their rows are refused.
    """

    chunk_rows: int = 20_000
    chunk_bytes: int = 4 * 1024 * 1024
    conflict_attempts: int = 5
    conflict_wait_s: float = 0.02
    live_rows: int = 1_000
    live_share: float = 0.5
    live_per_second: float = 10.0
    pause_at_lag: int = 5_000
    pause_s: float = 0.25
    pause_limit_s: float = 5.0
    max_rejects: int = 100_000
    encoding: Encoding | None = None


class Lap:
    """Seconds since the lap that was last committed: what is rolled back counts towards the next attempt."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = self._until = clock.monotonic()

    def __call__(self) -> float:
        self._until = self._clock.monotonic()
        return self._until - self._since

    def committed(self) -> None:
        """The seconds that were last told are on record."""
        self._since = self._until


@dataclass(slots=True)
class Run:
    """One job on its way. `from_byte` is where PostgreSQL has it."""

    conn: AsyncConnection
    job: Job
    lap: Lap
    from_byte: int
    dialect: Dialect | None = None
    kind: str | None = None
