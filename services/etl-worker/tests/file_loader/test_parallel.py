"""Several files at a time: kinds that do not wait for each other beside each other, children after their parents."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, override
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from etl_worker.file_loader.app import App
from etl_worker.file_loader.jobs import Job, Statement
from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.apply.file_rows import FileRows
from tillstream.contracts.entities import Entity
from tillstream.contracts.files import FileJob
from tillstream.contracts.messages import Message
from tillstream.contracts.plain_rows import PlainRows
from tillstream.errors import DatabaseUnavailable
from tillstream.testing.waiting import eventually

from .conftest import CHUNK_ROWS, Shop

pytestmark = pytest.mark.fault

DEADLINE_S = 30.0
ROWS = 3 * CHUNK_ROWS
USERS = b"user_id,name,email,signup_date\n" + b"".join(
    b"%d,N,u%d@example.org,2024-01-05\n" % (n, n) for n in range(1, ROWS + 1)
)
PRODUCTS = b"product_id,product_name,category,price\n" + b"".join(
    b"%d,P,C,1.00\n" % n for n in range(1, ROWS + 1)
)
ORDERS = b"order_id,user_id,order_date,status,total_amount\n" + b"".join(
    b"%d,%d,2024-02-01,paid,5.00\n" % (n, n) for n in range(1, ROWS + 1)
)
ITEMS = b"order_item_id,order_id,product_id,quantity,unit_price\n" + b"".join(
    b"%d,%d,%d,1,1.00\n" % (n, n, n) for n in range(1, ROWS + 1)
)
EVENTS = b"user_id,event_type,product_id,event_timestamp\n" + b"".join(
    b"%d,page_view,%d,2024-02-01T10:00:00Z\n" % (n, n) for n in range(1, ROWS + 1)
)
TABLES = ("users", "products", "orders", "order_items", "events")


@dataclass
class Gates:
    """An engine that stops every file before a chunk of a given number, until that file's gate is opened."""

    chunk: int = 1
    reached: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    _chunks: Counter[Any] = field(default_factory=Counter)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def apply(self, conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        await self.passed(messages[0].origin.job_id, messages[0].entity)
        return await Engine().apply(conn, messages)

    def rows(self, entity: Entity, job: Job) -> FileRows:
        """For files whose rows do not go through the engine."""
        return Gated(entity, job, self)

    async def passed(self, job_id: UUID | None, entity: Entity) -> None:
        self._chunks[job_id] += 1
        if self._chunks[job_id] == self.chunk:
            self.reached.add(entity.value)
            async with self._changed:
                await self._changed.wait_for(lambda: entity.value in self.opened)

    async def open(self, *kinds: str) -> None:
        async with self._changed:
            self.opened.update(kinds)
            self._changed.notify_all()


class Gated(FileRows):
    """Stops where the engine would."""

    def __init__(self, entity: Entity, job: Job, gates: Gates) -> None:
        super().__init__(entity, job)
        self._gates = gates

    @override
    async def stage(self, conn: AsyncConnection, rows: PlainRows, pieces: Iterable[bytes]) -> set[int]:
        await self._gates.passed(self._job.job_id, self._entity)
        return await super().stage(conn, rows, pieces)


def start(shop: Shop, gates: Gates, parallel: int = 2) -> App:
    return shop.start(replace(shop.ports(), apply=gates.apply, rows=gates.rows), file_parallel=parallel)


@asynccontextmanager
async def working(app: App) -> AsyncIterator[asyncio.Event]:
    """The process at work until it is asked to stop."""
    stop = asyncio.Event()
    async with app.running():
        task = asyncio.create_task(app.work(stop))
        yield stop
        stop.set()
        await asyncio.wait_for(task, DEADLINE_S)


def claim(shop: Shop, *contents: bytes) -> list[FileJob]:
    names = {USERS: "users.csv", PRODUCTS: "products.csv", ORDERS: "orders.csv", ITEMS: "items.csv"}
    return [shop.claim(names.get(content, "events.csv"), content) for content in contents]


async def states(shop: Shop) -> dict[str, str]:
    return {row["kind"]: row["status"] for row in await shop.rows("SELECT kind, status FROM shop.file_jobs")}


async def until(condition: Callable[[], object]) -> None:
    await eventually(condition, DEADLINE_S)


async def all_loaded(shop: Shop) -> bool:
    return set((await states(shop)).values()) == {"loaded"}


async def counts(shop: Shop) -> dict[str, int]:
    return {table: (await shop.rows(f"SELECT count(*) AS n FROM shop.{table}"))[0]["n"] for table in TABLES}


async def test_users_and_products_load_at_once_and_their_children_wait_until_both_are_over(
    shop: Shop,
) -> None:
    gates = Gates()
    app = start(shop, gates, parallel=4)
    async with working(app):
        await shop.queue(*claim(shop, EVENTS, ITEMS, ORDERS, PRODUCTS, USERS))
        await until(lambda: gates.reached == {"user", "product"})
        assert await states(shop) == {
            "user": "running",
            "product": "running",
            "order": "queued",
            "order_item": "queued",
            "event": "queued",
        }
        await gates.open("user")
        await until(lambda: gates.reached == {"user", "product", "order"})
        await gates.open("product")
        await until(lambda: gates.reached == {"user", "product", "order", "event"})
        assert (await states(shop))["order_item"] == "queued"
        await gates.open("order", "event", "order_item")
        await eventually(lambda: all_loaded(shop), DEADLINE_S)
    assert await counts(shop) == dict.fromkeys(TABLES, ROWS)
    assert await shop.rows("SELECT * FROM shop.file_jobs WHERE loaded <> rows") == []
    assert await shop.rows("SELECT * FROM shop.file_jobs WHERE lease_epoch <> 1") == []


async def test_one_at_a_time_is_what_a_loader_does_unless_it_is_told_otherwise(shop: Shop) -> None:
    gates = Gates()
    shop.start(replace(shop.ports(), apply=gates.apply, rows=gates.rows))
    assert len(shop.app.runners) == 1
    async with working(shop.app):
        await shop.queue(*claim(shop, PRODUCTS, USERS))
        await until(lambda: gates.reached == {"user"})
        assert await states(shop) == {"user": "running", "product": "queued"}
        await gates.open("user", "product")
        await eventually(lambda: all_loaded(shop), DEADLINE_S)


async def test_files_of_one_source_and_kind_follow_each_other_in_the_order_of_their_claims(
    shop: Shop,
) -> None:
    """The newest ended one decides what is a duplicate: beside each other all three would be loaded."""
    gates = Gates()
    start(shop, gates, parallel=4)
    first, second, third = claim(shop, USERS, USERS, USERS)
    other = shop.claim("users.csv", USERS, source="acme")
    async with working(shop.app):
        await shop.queue(third, other, second, first)
        await eventually(lambda: _running(shop, 2), DEADLINE_S)
        await gates.open("user")
        await eventually(lambda: _running(shop, 0), DEADLINE_S)
    jobs = [await shop.job(job.job_id) for job in (first, second, third)]
    assert [(job["status"], job["duplicate_of"]) for job in jobs] == [
        ("loaded", None),
        ("duplicate", first.job_id),
        ("duplicate", first.job_id),
    ]
    assert jobs[0]["finished_at"] < jobs[1]["started_at"] <= jobs[1]["finished_at"] < jobs[2]["started_at"]
    assert (await shop.job(other.job_id))["status"] == "loaded"


async def _running(shop: Shop, wanted: int) -> bool:
    """Whether so many run, and nothing of another source waits; 0: whether all is over."""
    rows = await shop.rows("SELECT source, status FROM shop.file_jobs")
    found = Counter(row["status"] for row in rows)
    return bool(rows) and found["running"] == wanted and (wanted > 0 or found["queued"] == 0)


async def test_a_process_takes_over_both_jobs_of_one_that_stands_still_and_no_runner_ends_a_sibling(
    shop: Shop,
) -> None:
    frozen, successor = Gates(chunk=2), Gates(chunk=1)
    old = start(shop, frozen)
    await shop.queue(*claim(shop, USERS, PRODUCTS))
    loses = [asyncio.create_task(each.run_next()) for each in old.runners]
    await until(lambda: frozen.reached == {"user", "product"})
    new = start(shop, successor)
    first = asyncio.create_task(new.runners[0].run_next())
    await until(lambda: len(successor.reached) == 1)
    second = asyncio.create_task(new.runners[1].run_next())
    await until(lambda: len(successor.reached) == 2)
    await successor.open("user", "product")
    statements = await asyncio.wait_for(asyncio.gather(first, second), DEADLINE_S)
    assert [(each.status, each.loaded) for each in statements if each] == [("loaded", ROWS)] * 2
    await frozen.open("user", "product")
    ends = await asyncio.wait_for(asyncio.gather(*loses, return_exceptions=True), DEADLINE_S)
    assert [type(each) for each in ends] == [DatabaseUnavailable] * 2
    assert [each["lease_epoch"] for each in await shop.rows("SELECT lease_epoch FROM shop.file_jobs")] == [
        2,
        2,
    ]
    assert (await counts(shop))["users"] == (await counts(shop))["products"] == ROWS


async def test_a_stop_in_the_middle_rolls_back_both_and_the_next_process_resumes_both(shop: Shop) -> None:
    gates = Gates(chunk=2)
    start(shop, gates)
    jobs = claim(shop, USERS, PRODUCTS, ORDERS)
    async with working(shop.app):
        await shop.queue(*jobs)
        await until(lambda: gates.reached == {"user", "product"})
    assert [(await shop.job(job.job_id))["rows"] for job in jobs] == [CHUNK_ROWS, CHUNK_ROWS, 0]
    assert (
        await shop.rows(
            "SELECT 1 AS one FROM pg_stat_activity WHERE application_name = 'file-loader'"
            " AND datname = current_database()"
        )
        == []
    )
    again = Gates(chunk=1)
    start(shop, again)
    async with working(shop.app):
        await until(lambda: again.reached == {"user", "product"})
        await again.open("user", "product", "order")
        await eventually(lambda: all_loaded(shop), DEADLINE_S)
    found = await counts(shop)
    assert (found["users"], found["products"], found["orders"]) == (ROWS, ROWS, ROWS)
    assert len(await shop.rows("SELECT * FROM shop.changes")) == 3 * ROWS
    for job in jobs:
        assert ((await shop.job(job.job_id))["rows"], (await shop.job(job.job_id))["loaded"]) == (ROWS, ROWS)


async def test_a_runner_that_loses_its_connection_goes_on_and_leaves_its_sibling_alone(shop: Shop) -> None:
    gates = Gates(chunk=2)
    start(shop, gates)
    async with working(shop.app):
        await shop.queue(*claim(shop, USERS, PRODUCTS))
        await until(lambda: gates.reached == {"user", "product"})
        await shop.conn.execute(
            "SELECT pg_terminate_backend(lease_pid) FROM shop.file_jobs WHERE kind = 'user'"
        )
        await gates.open("user", "product")
        await eventually(lambda: all_loaded(shop), DEADLINE_S)
    epochs = await shop.rows("SELECT kind, lease_epoch FROM shop.file_jobs ORDER BY kind")
    assert [(row["kind"], row["lease_epoch"]) for row in epochs] == [("product", 1), ("user", 2)]
    assert (await counts(shop))["users"] == ROWS


async def test_what_one_runner_waits_for_is_told_while_its_sibling_goes_on(shop: Shop) -> None:
    app = start(shop, Gates())
    disk = app.health.dependency("folders")
    first, second = disk.voice(), disk.voice()
    first.waiting("The disk fails: no space.")
    second.waiting("The disk fails: no folder.")
    second.reached()
    assert (await app.health.ready()).problems == {"folders": "The disk fails: no space."}
    first.reached()
    assert (await app.health.ready()).problems == {}
    assert {"file jobs", "file jobs 2", "tidying"} <= set(app.health._progress)


async def test_a_bug_in_one_runner_ends_the_process_and_is_told(shop: Shop) -> None:
    class Bug(Exception):
        pass

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        if messages[0].entity == "product":
            raise Bug
        return await gates.apply(conn, messages)

    gates = Gates()
    shop.start(replace(shop.ports(), apply=apply), file_parallel=2)
    await shop.queue(*claim(shop, USERS, PRODUCTS))
    async with shop.app.running():
        with pytest.raises(Bug):
            await asyncio.wait_for(shop.app.work(asyncio.Event()), DEADLINE_S)
    assert await states(shop) == {"user": "running", "product": "running"}
    start(shop, again := Gates())
    await again.open("user", "product")
    statements: list[Statement] = await shop.run_all()
    assert [each.loaded for each in statements] == [ROWS, ROWS]
