"""PostgreSQL crashes in the middle of a file, at its worst moments: the file goes on where it was, once."""

import asyncio

import pytest

from file_faults.dropped import Dropped, packed, users
from file_faults.end_state import check_end
from file_faults.roots.steps import STOP
from file_faults.yard import Yard

pytestmark = [pytest.mark.fault, pytest.mark.timeout(200)]

# Within a chunk's transaction, right before and right after its commit, and before the statement.
STEPS = ("advance.2", "commit.2", "wake.2", "finish.1")


async def test_a_database_that_crashes_in_the_middle_of_a_file_costs_nothing(yard: Yard) -> None:
    for part in ("watcher", "loader", "door"):
        yard.start(part)
    files = list[Dropped]()
    for number, step in enumerate(STEPS):
        content = users(1 + 100 * number)
        files.append(Dropped(f"{number}.csv", packed(content) if number % 2 else content))
        yard.order("loader-1", STOP, f"{step} {files[-1].name}")
        await yard.send(files[-1].name, files[-1].content, step)
        async with yard.held("loader-1"):
            await asyncio.to_thread(yard.database.server.kill)
        await asyncio.to_thread(yard.database.server.start)
    await check_end(yard, files)
