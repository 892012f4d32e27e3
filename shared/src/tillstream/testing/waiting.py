"""Waiting for a condition with a deadline; tests never sleep for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, overload

LOOK_EVERY_S = 0.01
WITHIN_S = 15.0


@overload
async def eventually[T](probe: Callable[[], Awaitable[T]], within_s: float = WITHIN_S) -> T: ...
@overload
async def eventually[T](probe: Callable[[], T], within_s: float = WITHIN_S) -> T: ...
async def eventually(probe: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    """The first answer of `probe` that counts as true. Raises AssertionError with the last answer after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        answer = probe()
        found = await answer if isawaitable(answer) else answer
        if found:
            return found
        assert time.monotonic() < deadline, f"{probe} was still {found!r} after {within_s:g} s"
        await asyncio.sleep(LOOK_EVERY_S)
