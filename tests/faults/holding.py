"""Letting time pass on purpose: how long a fault lasts, how long a client waits before it tries again."""

import asyncio


async def hold(seconds: float, until: asyncio.Event) -> bool:
    """Wait for the event, but not longer; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        return False
    return True
