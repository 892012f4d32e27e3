"""Thousands of tiny files at once, while watcher and loader are killed: each of them ends once.

`FILE_FAULTS_FILES=60000 pytest tests/file_faults/test_many.py` takes as many as one likes.
"""

import os
from functools import partial

import pytest
from psycopg import AsyncConnection

from faults.holding import pause
from file_faults.dropped import Dropped, packed, users
from file_faults.end_state import check_end
from file_faults.yard import Yard
from tillstream.testing.waiting import eventually

FILES = int(os.environ.get("FILE_FAULTS_FILES", "300"))
WITHIN_S = 60 + FILES * 0.2
KILLS = (0.1, 0.4, 0.7)  # of the files are over by then
LOOK_EVERY_S = 0.25  # counting tens of thousands a hundred times a second takes a processor from the loader
ENDED = "SELECT count(*) FROM shop.file_jobs WHERE finished_at IS NOT NULL"

pytestmark = [pytest.mark.fault, pytest.mark.timeout(WITHIN_S * 2)]


async def test_thousands_of_tiny_files_end_once_each(yard: Yard) -> None:
    files = list[Dropped]()
    for number in range(FILES):
        content = users(1 + number, 1, broken=False)
        is_packed = number % 5 == 0
        files.append(
            Dropped(f"{number:06}.csv{'.gz' if is_packed else ''}", packed(content) if is_packed else content)
        )
        yard.drop(files[-1].name, files[-1].content)
    yard.start("watcher")
    yard.start("loader")
    async with await AsyncConnection.connect(yard.database.superuser_dsn, autocommit=True) as conn:

        async def are_over(count: float) -> bool:
            found = await (await conn.execute(ENDED)).fetchone()
            if found is not None and found[0] >= count:
                return True
            await pause(LOOK_EVERY_S)
            return False

        for share in KILLS:
            await eventually(partial(are_over, share * FILES), WITHIN_S)
            for part in ("watcher", "loader"):
                await yard.kill(f"{part}-1")
                yard.start(part)
        await eventually(partial(are_over, FILES), WITHIN_S)
    await check_end(yard, files)
