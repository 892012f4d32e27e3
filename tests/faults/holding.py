"""Letting time pass on purpose, where there is nothing to wait for."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def hold(seconds: float, until: asyncio.Event) -> bool:
    """Wait for the event, but not longer; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        return False
    return True


async def pause(seconds: float) -> None:
    """The length itself is what is meant: of a fault, or between two attempts of a client. Never for a condition, for which
    there is `eventually`."""
    await hold(seconds, asyncio.Event())


class Again:
    """Something that is done again and again in a task of its own, until it is enough. The work asks `enough` between two times."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._enough = asyncio.Event()

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._task = asyncio.create_task(work, name=name)

    async def enough(self, within_s: float) -> bool:
        """Whether the work is to end; says so at once when it is told, and else waits that long."""
        return await hold(within_s, self._enough)

    async def end(self) -> None:
        """Waits for the work, and raises what it raised. Also where nothing ever began."""
        self._enough.set()
        if self._task is not None:
            await self._task
