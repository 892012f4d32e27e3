"""A file is taken when it has stopped changing."""

from collections.abc import Hashable, Iterable
from typing import Protocol

from tillstream.clock import Clock


class Looking(Protocol):
    """A file that a scan has seen; `looks` stays equal while nobody writes."""

    @property
    def place(self) -> str: ...
    @property
    def looks(self) -> Hashable: ...


class Stability[T: Looking]:
    """Remembers since when each file has looked the same."""

    def __init__(self, stable_s: float, clock: Clock) -> None:
        self.stable_s = stable_s
        self._clock = clock
        self._since: dict[str, tuple[Hashable, float]] = {}

    def __repr__(self) -> str:
        return f"<Stability of {len(self._since)} files>"

    def stable(self, seen: Iterable[T]) -> list[T]:
        """Those of a scan that have looked the same for long enough. What is not in the scan is forgotten."""
        now = self._clock.monotonic()
        before, self._since = self._since, {}
        stable = []
        for each in seen:
            # Taken out one by one: to free all of them at once holds every thread.
            looks, since = before.pop(each.place, (None, now))
            if looks != each.looks:
                since = now
            self._since[each.place] = (each.looks, since)
            if now - since >= self.stable_s:
                stable.append(each)
        return stable

    def next_stable_in_s(self) -> float | None:
        """Seconds until the next file that is still watched can be stable; None where there is none."""
        now = self._clock.monotonic()
        remaining = [since + self.stable_s - now for _, since in self._since.values()]
        return min((each for each in remaining if each > 0), default=None)
