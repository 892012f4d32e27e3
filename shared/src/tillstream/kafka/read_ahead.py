"""The batch after the one that is being applied: it is fetched and read while PostgreSQL works on the other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from tillstream.contracts.parts import joined
from tillstream.kafka.ports import Each
from tillstream.kafka.records import Record

AT_WORK_S = 0.001  # a statement that takes longer will take some milliseconds more
TICK_S = 0.001
PATIENCE = 50  # ticks
ROUNDS = 3


class Fetched(NamedTuple):
    """Records, and what they say: one item per record."""

    records: Sequence[Record]
    items: Sequence[Any]


class ReadAhead:
    """At most one fetch is under way, at most one batch lies ready. `read` must be a pure function of the records.

    While a batch is applied, the next one takes its turns when `waiting_s` says that PostgreSQL is at work: a part takes a few
    milliseconds, for which the answer to a short statement would lie there. All was read before PostgreSQL had begun otherwise,
    and then Python waited.
    """

    def __init__(
        self,
        fetch: Callable[[Each], Awaitable[Sequence[Record]]],
        read: Callable[[Sequence[Record]], Sequence[Any]],
        waiting_s: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._read = read
        self._waiting_s = waiting_s
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[Fetched] | None = None
        self._in_use: Fetched | None = None
        self._used: Fetched | None = None

    def __repr__(self) -> str:
        state = "idle" if self._task is None else "ready" if self._task.done() else "under way"
        return f"<ReadAhead: {state}>"

    @contextmanager
    def applying(self) -> Iterator[None]:
        """Around the work on a batch, which goes first."""
        self._idle.clear()
        try:
            yield
        finally:
            self._idle.set()

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

        async def each(some: Sequence[Record]) -> None:
            parts.append(self._read(some))
            await self._turn()

        await self._turn()
        records = await self._fetch(each)
        self._used = None  # freeing so many objects takes a while, in which PostgreSQL has something to do
        items = joined(parts)
        return Fetched(records, items if len(items) == len(records) else items[: len(records)])

    async def _turn(self) -> None:
        """Returns when it is this one's turn, and after PATIENCE at the latest."""
        for _ in range(
            ROUNDS
        ):  # an answer that has come meanwhile is seen in the first one, and acted on in the second
            await asyncio.sleep(0)
        for _ in range(PATIENCE):
            if self._idle.is_set() or self._waiting_s() >= AT_WORK_S:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._idle.wait()
