"""Rows that are stored set-wise leave the tables as rows that are judged one by one do."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar, override

import pytest
from psycopg import AsyncConnection

from etl_worker.file_loader import chunks
from tillstream.apply.file_rows import FileRows
from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import new_id
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.errors import LongWay

from .conftest import SIDES, Shop

pytestmark = pytest.mark.integration

USERS = b"user_id,name,email,signup_date\n" + b"".join(
    b"%d,Ann,ann%d@example.org,2024-01-05\n" % (n, n) for n in range(1, 5)
)
PRODUCTS = b"product_id,product_name,category,price\n1,Pen,office,1.50\n2,Cup,kitchen,4\n"
ITEMS = b"order_item_id,order_id,product_id,quantity,unit_price\n1,1,1,2,1.5\n2,12,2,1,4\n3,99,1,1,1\n"
HEADER = b"order_id,user_id,order_date,status,total_amount,updated_at\n"
FIRST = HEADER + (
    b"1,1,2024-01-20T10:30:00Z,paid,12.30,\n2,2,2024-01-20,pending,5,\n3,3,2024-01-21 08:00,shipped,0.5,2024-02-01T00:00:00Z\n"
    b"4,9,2024-01-21,paid,1,\n5,1,2024-02-30,paid,1,\n6,1,2024-01-21,Paid,1,\n1,2,2024-01-22,paid,9,\n"
    b'30,1,2024-01-22,paid,1,\n30,2,2024-01-22,"paid",2,\n31,1,2024-01-22,"paid",1,\n31,2,2024-01-22,paid,2,\n'
    b"13,1,2024-01-22,paid,3,\n13,2,2024-01-22T08:00:00+02:00,paid,4,\n"
    b"14,1,2024-01-22T08:00:00+02:00,paid,3,\n14,2,2024-01-22,paid,4,\n"
    b'7,4,2024-01-22,"paid",3,\n8,1,2024-01-22,paid,3,\n8,2,2024-01-22,paid,4,\n9,1,2024-01-22,paid\n'
    b"10,1,2024-01-22,paid,1.234,\n11,2,2024-01-22,paid,9999999999.99,\r\n12,3,2024-01-22T01:02:03.000004Z,paid,1,"
)
# In the order of no key, and with the keys of another chunk; some older, some the same, some new.
SECOND = HEADER + (
    b"12,3,2024-01-22T01:02:03.000004Z,paid,1,\n3,3,2024-01-21 08:00,paid,0.75,2024-01-15T00:00:00Z\n2,2,2024-01-20,paid,5,\n"
    b"20,1,2024-01-23,paid,1,\n1,4,2024-01-20T10:30:00Z,cancelled,12.30,\n19,1,2024-01-23,paid,2,\n12,1,2024-01-23,paid,2,\n"
)
EVENTS = (
    b"event_id,user_id,event_type,product_id,event_timestamp\n"
    b"a,1,page_view,1,2024-01-20T10:30:00Z\nb,2,purchase,,2024-01-20T10:31:00Z\n,3,add_to_cart,2,2024-01-20T10:32:00Z\n"
    b",3,add_to_cart,2,2024-01-20T10:32:00Z\nc,9,page_view,1,2024-01-20T10:30:00Z\nd,1,page_view,7,2024-01-20T10:30:00Z\n"
    b"e,1,viewed,1,2024-01-20T10:30:00Z\na,1,page_view,2,2024-01-20T10:30:00Z\na,1,page_view,1,2024-01-20T10:30:00Z\n"
    b"f,1,page_view,1,2024-01-20T10:30:00Z\nf,2,purchase,,2024-01-20T10:31:00+02:00\n"
    b"g,9,page_view,1,2024-01-20T10:30:00+02:00\ng,2,purchase,,2024-01-20T10:31:00Z\n"
    b"6f1c1e0a-3c5b-5d7e-9a42-7411577ea300,4,purchase,2,2024-01-20T10:30:00Z\n,4,page_view,,2024-01-21\n"
)
NEXT_EVENTS = EVENTS.replace(b"b,2,purchase", b"b,2,page_view") + b"z,1,page_view,1,2024-01-22\n"
FILES = {
    "products.csv": PRODUCTS, "users.csv": USERS, "items.csv": ITEMS, "orders.csv": FIRST, "orders2.csv": SECOND, "events.csv": EVENTS,
    "events2.csv": NEXT_EVENTS,
}  # fmt: skip
JOB_IDS = {name: new_id() for name in FILES}
MORE_USERS = b"user_id,name,email,signup_date\n9,Zoe,zoe@example.org,2024-01-05\n"
ZOE = new_id()


async def everything(shop: Shop) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """What all files leave behind, loaded one after the other, with a parent that comes late."""
    await shop.empty()
    shop.claims = 0
    for name, content in FILES.items():
        await shop.load(name, content, job_id=JOB_IDS[name])
    statements = [
        {side: job[side] for side in ("file_name", "status", "rows", *SIDES)}
        for job in await shop.rows("SELECT * FROM shop.file_jobs ORDER BY claimed_at")
    ]
    await shop.load("users2.csv", MORE_USERS, job_id=ZOE)
    await shop.sweep()
    return statements, await shop.tables()


def all_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line has a plain form any more."""
    monkeypatch.setattr(chunks, "plain_line", lambda *_: None)


class Refusing(FileRows):
    """Every chunk is refused by PostgreSQL at first."""

    refused: ClassVar[int] = 0

    @override
    async def store(self, conn: AsyncConnection, left_out: Collection[int]) -> Counter[OutcomeKind]:
        await super().store(conn, left_out)
        Refusing.refused += 1
        raise LongWay("a row was refused")


class Counting(FileRows):
    """How many rows were stored without a message."""

    stored: ClassVar[Counter[str]] = Counter()

    @override
    async def store(self, conn: AsyncConnection, left_out: Collection[int]) -> Counter[OutcomeKind]:
        outcomes = await super().store(conn, left_out)
        self.stored[self._entity] += outcomes.total()
        return outcomes


@pytest.mark.parametrize("chunk_rows", [1, 3, 1_000])
async def test_the_tables_are_those_of_the_long_way(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    shop.chunk_rows = chunk_rows
    Counting.stored.clear()
    shop.start(replace(shop.ports(), rows=Counting))
    quick = await everything(shop)
    # The larger the chunks, the more rows meet another one of their key in their own.
    assert (Counting.stored[Entity.ORDER] >= 7, Counting.stored[Entity.EVENT] >= 4) == (True, True)

    Refusing.refused = 0
    shop.start(replace(shop.ports(), rows=Refusing))
    refused = await everything(shop)
    assert Refusing.refused > 0
    assert refused == quick

    all_judged(monkeypatch)
    shop.start()
    assert await everything(shop) == quick


async def test_a_row_that_postgresql_refuses_does_not_take_others_with_it(shop: Shop) -> None:
    await shop.load("users.csv", USERS)
    async with await AsyncConnection.connect(shop.database.owner_dsn, autocommit=True) as owner:
        await owner.execute(
            "ALTER TABLE shop.orders ADD CONSTRAINT no_thirteen CHECK (total_amount <> 13.13) NOT VALID"
        )
        try:
            job = await shop.load("orders.csv", FIRST.replace(b",5,", b",13.13,", 1))
        finally:
            await owner.execute("ALTER TABLE shop.orders DROP CONSTRAINT no_thirteen")
    reasons = await shop.rows(
        "SELECT line, reason FROM shop.quarantine WHERE job_id = %s ORDER BY line", job["job_id"]
    )
    assert {"line": 3, "reason": "refused_by_database"} in reasons
    stored = {row["order_id"] for row in await shop.rows("SELECT order_id FROM shop.orders")}
    assert {1, 3, 7, 11, 12} <= stored
    assert 2 not in stored
