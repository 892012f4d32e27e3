"""The batch after the one that is being applied: it is fetched and read while PostgreSQL works on the other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from tillstream.kafka.records import Record

# A few milliseconds. In between, whoever applies the batch before can send its next statement: else all of the reading
# would be done before PostgreSQL has begun, and nothing would overlap.
SLICE_RECORDS = 250


class Fetched(NamedTuple):
    """Records, and what they say: one item per record."""

    records: Sequence[Record]
    items: Sequence[Any]


class ReadAhead:
    """At most one fetch is under way, at most one batch lies ready. `read` must be a pure function of the records."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Sequence[Record]]],
        read: Callable[[Sequence[Record]], Sequence[Any]],
    ) -> None:
        self._fetch = fetch
        self._read = read
        self._task: asyncio.Task[Fetched] | None = None

    def __repr__(self) -> str:
        state = "idle" if self._task is None else "ready" if self._task.done() else "under way"
        return f"<ReadAhead: {state}>"

    def begin(self) -> None:
        """Fetch the next batch, unless that is done or under way."""
        if self._task is None:
            self._task = asyncio.create_task(self._fetch_and_read(), name="read ahead")

    async def next(self) -> Fetched:
        """The next batch, also an empty one. Raises what the fetch raised."""
        self.begin()
        task, self._task = self._task, None
        assert task is not None, "just begun"
        return await task

    async def drop(self) -> bool:
        """Forget what was fetched: the consumer stands behind it now. Returns whether there was anything to forget."""
        task, self._task = self._task, None
        if task is None:
            return False
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # whatever it was, the next fetch meets it again
        return True

    async def _fetch_and_read(self) -> Fetched:
        records = await self._fetch()
        items: list[Any] = []
        for begin in range(0, len(records), SLICE_RECORDS):
            items += self._read(records[begin : begin + SLICE_RECORDS])
            await asyncio.sleep(0)
        return Fetched(records, items)
