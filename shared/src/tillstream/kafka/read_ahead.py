"""The batch after the one that is being applied: it is fetched and read while PostgreSQL works on the other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from tillstream.contracts.parts import joined
from tillstream.kafka.ports import Each
from tillstream.kafka.records import Record


class Fetched(NamedTuple):
    """Records, and what they say: one item per record."""

    records: Sequence[Record]
    items: Sequence[Any]


class ReadAhead:
    """At most one fetch is under way, at most one batch lies ready. `read` must be a pure function of the records."""

    def __init__(
        self,
        fetch: Callable[[Each], Awaitable[Sequence[Record]]],
        read: Callable[[Sequence[Record]], Sequence[Any]],
    ) -> None:
        self._fetch = fetch
        self._read = read
        self._task: asyncio.Task[Fetched] | None = None
        self._in_use: Fetched | None = None
        self._used: Fetched | None = None

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
        fetched = await task
        self._used, self._in_use = self._in_use, fetched
        return fetched

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
        """Reads records as they come: a whole batch of them would be out of the processor's caches by then."""
        parts: list[Sequence[Any]] = []
        records = await self._fetch(lambda some: parts.append(self._read(some)))
        self._used = None  # freeing so many objects takes a while, in which PostgreSQL has something to do
        items = joined(parts)
        return Fetched(records, items if len(items) == len(records) else items[: len(records)])
