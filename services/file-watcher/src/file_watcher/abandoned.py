"""Files that keep the name of an unfinished one though nobody writes to them any more: a transfer that was broken off."""

from collections.abc import Mapping

from tillstream.clock import Clock


class Abandoned:
    """Remembers of each name how it looked and since when; forgets what is gone."""

    def __init__(self, after_s: float, clock: Clock) -> None:
        self.after_s = after_s
        self._clock = clock
        self._since: dict[str, tuple[int, float]] = {}

    def among(self, unfinished: Mapping[str, int]) -> list[str]:
        """Those that have not changed for `after_s`. Each has the time of its last change."""
        now = self._clock.monotonic()
        before = self._since
        self._since = {
            place: before[place] if place in before and before[place][0] == changed_ns else (changed_ns, now)
            for place, changed_ns in unfinished.items()
        }
        return [place for place, (_, since) in self._since.items() if now - since >= self.after_s]
