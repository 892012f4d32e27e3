"""Keeps aiokafka from asking for metadata without a breath.

Its producer (0.14) waits for nothing but the answer while a partition has no leader. A broker that loses its disk tells that to
its clients before it goes; from then on every question fails at once and the next one follows: a thousand a second, each with
two lines in the log, and a broker that comes back meets them all.
"""

import asyncio
from typing import Any

from tillstream.clock import Clock, SystemClock

PAUSE_S = 0.1  # aiokafka's own wait between attempts, where it has one


class _MetadataPace:
    """Stands before a client's way of asking, for the one task that keeps the client's own view of the cluster."""

    def __init__(self, client: Any, pause_s: float, clock: Clock) -> None:
        self._cluster = client.cluster
        self._ask = client._metadata_update  # noqa: SLF001 - there is no setting for it
        self._pause_s = pause_s
        self._clock = clock
        self._next_at = clock.monotonic()

    async def __call__(self, cluster: Any, topics: Any) -> bool:
        if cluster is not self._cluster:  # a probe has a view of its own, and no time to wait for anything
            return bool(await self._ask(cluster, topics))
        await asyncio.sleep(max(0.0, self._next_at - self._clock.monotonic()))
        try:
            return bool(await self._ask(cluster, topics))
        finally:
            self._next_at = self._clock.monotonic() + self._pause_s


def pace_metadata(client: Any, pause_s: float = PAUSE_S, clock: Clock | None = None) -> None:
    """From now on an AIOKafkaClient pauses so long at least before it asks again how its cluster looks."""
    client._metadata_update = _MetadataPace(client, pause_s, clock or SystemClock())  # noqa: SLF001 - as above
