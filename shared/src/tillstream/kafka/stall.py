"""Finding a loop that does nothing although it could: a Kafka client may stop delivering without any error."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tillstream.clock import Clock
from tillstream.errors import BrokerUnavailable, Stalled
from tillstream.kafka.records import Place

LOOK_EVERY_S = 1.0
# One partition alone may wait its turn behind a backlog; all together may not.
SINGLE_PLACE_FACTOR = 5
# A client that finds its way back by itself has done so by then.
OTHERS_ANSWERED_S = 20.0


class StallWatch:
    """`turned` and `measured` are called by the loop; both silences end in Stalled. So does `unanswered`, again and again."""

    def __init__(self, clock: Clock, *, lagging_s: float, turn_s: float) -> None:
        self._clock = clock
        self._lagging_s = lagging_s
        self._turn_s = turn_s
        self._turned_at = clock.monotonic()
        self._anything_at = clock.monotonic()
        self._settled_at = clock.monotonic()
        self._seen: dict[Place, tuple[int, float]] = {}
        self._others_answered_at: float | None = None

    def turned(self) -> None:
        self._turned_at = self._clock.monotonic()

    def excuse(self) -> None:
        """What came before does not count: partitions changed hands, or a server was away."""
        self._seen.clear()
        self._anything_at = self._settled_at = self._clock.monotonic()

    def lost_its_group(self, *, is_settled: bool) -> bool:
        """Whether this member waits for an assignment, even an empty one, longer than any rebalance takes. aiokafka parks
        a join that failed without telling anybody who holds no partition."""
        now = self._clock.monotonic()
        if is_settled:
            self._settled_at = now
        return now - self._settled_at > self._lagging_s

    async def unanswered(self, ask_anew: Callable[[], Awaitable[object]]) -> None:
        """The consumer's client had no answer. `ask_anew` asks Kafka by a connection of its own, or raises BrokerUnavailable.

        Raises Stalled where that has been answered for a while, and nothing was measured: such a client never finds its way
        back. It was seen after connections were reset on a busy machine; records came in all the same.
        """
        self.excuse()
        try:
            await ask_anew()
        except BrokerUnavailable:
            self._others_answered_at = None
            return
        now = self._clock.monotonic()
        if self._others_answered_at is None:
            self._others_answered_at = now
        deaf_s = now - self._others_answered_at
        if deaf_s > OTHERS_ANSWERED_S:
            raise Stalled(f"Kafka answers others, but not this process's client, for {deaf_s:.0f} s.")

    def measured(self, standing: Mapping[Place, tuple[int, int]]) -> None:
        """Next offset and log end of everything that should move. Raises Stalled."""
        self._others_answered_at = None
        now = self._clock.monotonic()
        lagging = False
        for place, (next_offset, end) in standing.items():
            before, since = self._seen.get(place, (-1, now))
            if next_offset >= end or next_offset != before:
                self._seen[place] = (next_offset, now)
                self._anything_at = now if next_offset != before else self._anything_at
            elif now - since > self._lagging_s * SINGLE_PLACE_FACTOR:
                raise Stalled(
                    f"{place} has {end - next_offset} records to apply and did not move for {now - since:.0f} s."
                )
            lagging = lagging or next_offset < end
        if not lagging:
            self._anything_at = now
        if now - self._anything_at > self._lagging_s:
            raise Stalled(
                f"There are records to apply, and nothing moved for {now - self._anything_at:.0f} s."
            )

    async def guard(self) -> None:
        """Never returns; raises Stalled when the loop itself hangs."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            silent_s = self._clock.monotonic() - self._turned_at
            if silent_s > self._turn_s:
                raise Stalled(f"One turn of the consumer loop takes {silent_s:.0f} s already.")
