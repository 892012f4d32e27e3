"""How fast the door gets rid of what it holds, and how long a client that comes too early should stay away."""

import math

from tillstream.clock import Clock

WINDOW_S = 10.0
# Less of a measurement says nothing yet.
MEASURED_AT_LEAST_S = 0.5
RETRY_AFTER_S = range(1, 31)


class DrainRate:
    """Bytes answered for per second, averaged over the last seconds in which something was in hand.

    Idle time does not count: that nobody sends is no sign of a slow broker. Silence with work in hand does.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_at = clock.monotonic()
        self._bytes = 0.0
        self._seconds = 0.0

    def __repr__(self) -> str:
        return f"<DrainRate {self._bytes:.0f} bytes in {self._seconds:.1f} s>"

    def begin(self) -> None:
        """Something is in hand again, after nothing was."""
        self._seen_at = self._clock.monotonic()

    def drained(self, size: int) -> None:
        """`size` bytes, in hand until now, were acknowledged."""
        self._age()
        self._bytes += size

    def per_second(self, *, busy: bool) -> float:
        """`busy` says whether something is in hand now."""
        if busy:
            self._age()
        return self._bytes / self._seconds if self._seconds >= MEASURED_AT_LEAST_S else 0.0

    def retry_after_s(self, in_hand: int) -> int:
        """Whole seconds until so many bytes are gone, within the bounds of RETRY_AFTER_S."""
        rate = self.per_second(busy=in_hand > 0)
        if not in_hand or self._seconds < MEASURED_AT_LEAST_S:
            return RETRY_AFTER_S[0]
        if in_hand >= rate * RETRY_AFTER_S[-1]:
            return RETRY_AFTER_S[-1]
        return max(RETRY_AFTER_S[0], math.ceil(in_hand / rate))

    def _age(self) -> None:
        now = self._clock.monotonic()
        kept = math.exp((self._seen_at - now) / WINDOW_S)
        self._seen_at = now
        self._bytes *= kept
        self._seconds = self._seconds * kept + WINDOW_S * (1 - kept)
