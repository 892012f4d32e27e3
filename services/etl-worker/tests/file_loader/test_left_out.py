"""Plain rows that are left to the engine cost no time of each such row with each other one."""

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar, override

import pytest
from psycopg import AsyncConnection

from tillstream.apply.file_rows import FileRows
from tillstream.contracts.outcomes import OutcomeKind

from .conftest import Shop

pytestmark = pytest.mark.integration

ROWS = 20_000  # of a chunk by default
USERS = b"user_id,name,email,signup_date\n1,Ann,ann@example.org,2024-01-05\n"
HEADER = b"order_id,user_id,order_date,status,total_amount\n"


class Timed(FileRows):
    """How long the statement takes that stores a chunk, by how many rows it leaves out."""

    seconds: ClassVar[dict[int, float]] = {}

    @override
    async def store(self, conn: AsyncConnection, left_out: Collection[int]) -> Counter[OutcomeKind]:
        began = time.monotonic()
        outcomes = await super().store(conn, left_out)
        self.seconds[len(left_out)] = time.monotonic() - began
        return outcomes


async def test_a_chunk_of_which_every_other_order_is_an_orphan_is_stored_as_fast_as_a_whole_one(
    shop: Shop,
) -> None:
    shop.chunk_rows = ROWS
    shop.start(replace(shop.ports(), rows=Timed))
    await shop.load("users.csv", USERS)
    for name, users in (("whole.csv", (1, 1)), ("half.csv", (1, 9))):
        orders = b"".join(b"%d,%d,2024-01-20,paid,1\n" % (key, users[key % 2]) for key in range(ROWS))
        await shop.load(name, HEADER + orders.removeprefix(b"0,1,2024-01-20,paid,1\n"), source=name)
    whole, half = Timed.seconds[0], Timed.seconds[ROWS // 2]
    assert half < 5 * whole
