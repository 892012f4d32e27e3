"""How far a file is, told in the log from time to time: a large one takes minutes. Readers see the same in `GET /jobs/{job_id}`."""

from uuid import UUID

import structlog

from tillstream.clock import Clock

TELL_EVERY_S = 10.0

_log = structlog.get_logger()


class ProgressLog:
    """One attempt at one file, from `begin` to `end` (bytes of its text). Small files end before the first line."""

    def __init__(self, job_id: UUID, begin: int, end: int, clock: Clock) -> None:
        self._job_id = job_id
        self._begin = begin
        self._end = end
        self._clock = clock
        self._began_at = clock.monotonic()
        self._tell_at = self._began_at + TELL_EVERY_S
        self._rows = 0

    def committed(self, rows: int, next_byte: int) -> None:
        """A chunk of so many rows, after which the file goes on at `next_byte`."""
        self._rows += rows
        now = self._clock.monotonic()
        done = next_byte - self._begin
        if now < self._tell_at or not done:
            return
        self._tell_at = now + TELL_EVERY_S
        seconds = now - self._began_at
        _log.info(
            "A file is being loaded.",
            job_id=str(self._job_id),
            percent=round(100 * next_byte / self._end, 1),
            rows=self._rows,
            rows_per_second=round(self._rows / seconds, 1),
            eta_seconds=round(seconds * (self._end - next_byte) / done),
        )
