"""Since when the files of the input folder are there."""

from collections.abc import Iterable

from file_watcher.scan import Dropped
from tillstream.clock import Clock

NANOSECONDS = 1_000_000_000


class Waiting:
    """Remembers when each file was seen first. One that was there before this process is as old as the last change of its inode,
    which a move into the folder is, too."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, tuple[int, float]] = {}

    def __repr__(self) -> str:
        return f"<Waiting: {len(self._since)} files>"

    def oldest_s(self, dropped: Iterable[Dropped]) -> float:
        """Seconds that the oldest file of a scan has waited; 0 where there is none. What is not in the scan is forgotten."""
        now = self._clock.monotonic()
        wall = self._clock.now().timestamp()
        before, self._since = self._since, {}
        for each in dropped:
            inode, since = before.pop(each.place, (None, now))
            if inode != each.inode:
                since = now - max(0.0, wall - each.arrived_ns / NANOSECONDS)
            self._since[each.place] = (each.inode, since)
        return now - min((since for _, since in self._since.values()), default=now)
