"""Plain rows that are left to the engine are not held against each other one."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar, override

import pytest
from psycopg import AsyncConnection

from support.plans import rows_looked_at
from tillstream.apply.file_rows import FileRows
from tillstream.contracts.outcomes import OutcomeKind

from .conftest import Shop

pytestmark = pytest.mark.integration

ROWS = 20_000  # of a chunk by default
LOOKS_PER_ROW = 20  # some for each index and join; by nested loops it would be thousands
USERS = b"user_id,name,email,signup_date\n1,Ann,ann@example.org,2024-01-05\n"
HEADER = b"order_id,user_id,order_date,status,total_amount\n"


class Explained(FileRows):
    """Notes for each chunk how many rows are left out, and how many the statement looks at that stores the others."""

    notes: ClassVar[list[tuple[int, float]]] = []

    @override
    async def store(self, conn: AsyncConnection, left_out: Collection[int]) -> Counter[OutcomeKind]:
        looks = await rows_looked_at(conn, self._sql["store"], self._values(left_out))
        self.notes.append((len(left_out), looks))
        return await super().store(conn, left_out)


async def test_a_chunk_of_which_every_other_order_is_an_orphan_is_stored_with_few_looks_per_row(
    shop: Shop,
) -> None:
    shop.chunk_rows = ROWS
    shop.start(replace(shop.ports(), rows=Explained), file_live_rows=ROWS)
    await shop.load("users.csv", USERS)
    orders = b"".join(b"%d,%d,2024-01-20,paid,1\n" % (key, (1, 9)[key % 2]) for key in range(1, ROWS + 1))
    await shop.load("half.csv", HEADER + orders)
    left_out, looks = (sum(column) for column in zip(*Explained.notes, strict=True))
    assert left_out == ROWS // 2
    assert ROWS < looks < LOOKS_PER_ROW * ROWS, Explained.notes
