"""SIGKILL at each step of a file whose rows are stored set-wise, without a message for each."""

from collections import Counter
from collections.abc import Sequence

import pytest
from psycopg import AsyncConnection

from file_faults.canaries import unclaimed
from file_faults.dropped import Dropped, users
from file_faults.end_state import check_places, refused_in
from file_faults.yard import WITHIN_S, Yard

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

APART = 100  # ids between two files
ROWS = 7
REFUSED_LINES = (3, 7)
HEADER = "order_id,user_id,order_date,status,total_amount"
OF_A_LOAD = {
    "stage.1",
    "store.1",
    "apply.1",
    "advance.1",
    "commit.1",
    "stage.2",
    "store.2",
    "commit.2",
    "finish.1",
}


def orders(number: int) -> Dropped:
    """Seven good rows, one that breaks its contract, and one that repeats a key of an earlier chunk."""
    first = 1 + number * APART
    rows = [f"{first + n},{n + 1},2024-02-01T10:00:0{n}Z,paid,{n}.50" for n in range(ROWS)]
    rows.insert(1, f"{first + ROWS},1,2024-02-01,Paid,1")
    rows.insert(5, f"{first},2,2024-02-01,shipped,1")
    return Dropped(f"orders-{number:03}.csv", "\n".join([HEADER, *rows, ""]).encode(), "loaded_with_rejects")


async def test_a_loader_killed_at_each_step_of_plain_rows_stores_each_row_once(yard: Yard) -> None:
    yard.start("watcher")
    yard.start("loader")
    parents, first = Dropped("users.csv", users(1, ROWS, broken=False)), orders(0)
    for each in (parents, first):
        yard.drop(each.name, each.content)
        await yard.over(1 + (each is first))
    labels = yard.steps("loader-1", first.name)
    assert set(labels) >= OF_A_LOAD
    assert not unclaimed("loader", labels)
    await yard.kill("loader-1")
    files = [first, *(orders(number) for number, _ in enumerate(labels, start=1))]
    for each in files[1:]:
        yard.drop(each.name, each.content)
    for label, each in zip(labels, files[1:], strict=True):
        await yard.dies_at("loader-1", f"{label} {each.name}")
    yard.start("loader")

    await check_end_of_orders(yard, parents, files)


async def check_end_of_orders(
    yard: Yard, parents: Dropped, files: Sequence[Dropped], within_s: float = WITHIN_S
) -> None:
    """Waits until all is over, the file of the users and those of `orders(0)`, `orders(1)` and so on."""
    jobs = await yard.over(1 + len(files), within_s)
    check_places(yard, [parents, *files])
    refused = sorted(each for path in yard.folders.invalid.iterdir() for each in refused_in(path))
    assert refused == sorted((each.name, line) for each in files for line in REFUSED_LINES)
    ends = Counter((job["status"], job["rows"], job["loaded"], job["rejected"]) for job in jobs)
    assert ends == {("loaded", ROWS, ROWS, 0): 1, ("loaded_with_rejects", ROWS + 2, ROWS, 2): len(files)}
    await check_orders(yard, len(files))


async def check_orders(yard: Yard, files: int) -> None:
    """Every good row once, with the values of its first line, and one receipt for each."""
    async with await AsyncConnection.connect(yard.database.superuser_dsn) as conn:
        found = await (
            await conn.execute("SELECT order_id, user_id, total_amount::text FROM shop.orders")
        ).fetchall()
        receipts = await (
            await conn.execute("SELECT outcome, key FROM shop.changes WHERE entity = 'order'")
        ).fetchall()
    ids = [1 + number * APART + n for number in range(files) for n in range(ROWS)]
    assert sorted(found) == [(each, (each - 1) % APART + 1, f"{(each - 1) % APART}.50") for each in ids]
    assert sorted(receipts) == [("stored", each) for each in ids]
