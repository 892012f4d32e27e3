"""Letting time pass on purpose, where there is nothing to wait for."""

import asyncio


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
