"""How many requests of one kind run at once; who comes when all places are taken is asked to come again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tillstream.http.problems import unavailable


class Places:
    """`full` is what a refused client is told; `{taken}` in it becomes the number of places."""

    def __init__(self, limit: int, full: str, retry_after_s: int = 1) -> None:
        self._limit = limit
        self._full = full
        self._retry_after_s = retry_after_s
        self.taken = 0
        self._all_free = asyncio.Event()
        self._all_free.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for as long as the block runs. Raises Problem 503."""
        if self.taken >= self._limit:
            raise unavailable(self._full.format(taken=self.taken), retry_after_s=self._retry_after_s)
        self.taken += 1
        self._all_free.clear()
        try:
            yield
        finally:
            self.taken -= 1
            if not self.taken:
                self._all_free.set()

    async def all_free(self, within_s: float) -> bool:
        """Whether all places become free in this time."""
        try:
            async with asyncio.timeout(within_s):
                await self._all_free.wait()
        except TimeoutError:
            return False
        return True
