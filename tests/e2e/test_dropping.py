"""Files: dropped in any order, broken in every way, corrected and dropped back."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import pytest

from e2e.driver import DIRTY, KINDS, SAMPLE, SIDES, Json, Shop, eventually, read_csv, write_csv

pytestmark = pytest.mark.e2e

ID_COLUMNS = ("user_id", "product_id", "order_id", "order_item_id", "event_id")
TIME_COLUMNS = ("signup_date", "order_date", "event_timestamp")
# Each copy of the sample shop lives in years and under ids of its own, so that it meets no other one.
DAYS_APART = 2 * 366
IDS_APART = 1_000_000
TABLES: dict[str, LiteralString] = {
    "users": "SELECT user_id, name, email, signup_date FROM shop.users WHERE user_id BETWEEN %s AND %s",
    "products": "SELECT product_id, product_name, category, price FROM shop.products WHERE product_id BETWEEN %s AND %s",
    "orders": "SELECT order_id, user_id, order_date, status, total_amount FROM shop.orders WHERE order_id BETWEEN %s AND %s",
    "order_items": "SELECT order_item_id, order_id, product_id, quantity, unit_price FROM shop.order_items WHERE order_id BETWEEN %s AND %s",
    "events": "SELECT user_id, event_type, product_id, event_timestamp FROM shop.events WHERE user_id BETWEEN %s AND %s",
}


def copy_of_sample(number: int, kind: str) -> list[dict[str, str]]:
    """The rows of a sample file, moved to where this copy lives."""
    rows = read_csv((SAMPLE / f"{kind}.csv").read_bytes())
    for row in rows:
        for column in row.keys() & set(ID_COLUMNS):
            row[column] = str(int(row[column]) + number * IDS_APART)
        for column in row.keys() & set(TIME_COLUMNS):
            row[column] = _earlier(row[column], timedelta(days=number * DAYS_APART))
        if "email" in row:
            row["email"] = f"copy-{number}.{row['email']}"
    return rows


def _earlier(text: str, by: timedelta) -> str:
    if "T" not in text:
        return (date.fromisoformat(text) - by).isoformat()
    return (datetime.fromisoformat(text) - by).isoformat()


def as_stored(kind: str, row: dict[str, str]) -> tuple[object, ...]:
    """What a row must look like in its table."""

    def cell(name: str, text: str) -> object:
        if name in TIME_COLUMNS:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if name in ID_COLUMNS or name == "quantity":
            return int(text)
        return Decimal(text) if name in {"price", "total_amount", "unit_price"} else text

    hidden = "event_id" if kind == "events" else ""
    return tuple(cell(name, text) for name, text in row.items() if name != hidden)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_the_sample_files_give_the_same_tables_in_any_order(shop: Shop, number: int) -> None:
    order = list(reversed(KINDS)) if number == 1 else random.Random(number).sample(KINDS, len(KINDS))  # noqa: S311
    names = {kind: f"copy-{number}-{kind}.csv" for kind in KINDS}
    for kind in order:
        job = await shop.load(names[kind], write_csv(copy_of_sample(number, kind)), source=f"copy-{number}")
        assert job["status"] == "loaded"
    for kind in KINDS:
        expected = copy_of_sample(number, kind)
        job = await shop.settled(names[kind])
        assert (job["rows"], job["loaded"], job["parked"], job["rejected"]) == (
            len(expected),
            len(expected),
            0,
            0,
        )
        first = number * IDS_APART
        found = await shop.rows(TABLES[kind], first, first + IDS_APART - 1)
        assert Counter(found) == Counter(as_stored(kind, row) for row in expected)


async def test_a_job_tells_its_kind_its_size_and_its_speed(shop: Shop) -> None:
    job = await shop.settled("events.csv")
    assert (job["kind"], job["rows"], job["status"]) == ("event", 300, "loaded")
    assert job["bytes"] == (SAMPLE / "events.csv").stat().st_size
    assert job["elapsed_seconds"] > 0
    assert job["rows_per_second"] > 0


async def kept(shop: Shop, folder: str, job: Json) -> Path:
    """Where the file of an ended job lies. It is moved right after the commit that ends the job, not within it."""
    path = shop.stack.data_dir / folder / f"{job['job_id']}__{job['file_name']}"

    async def moved() -> Path | None:
        return path if path.exists() else None

    return await eventually(moved)


async def test_a_loaded_file_lies_in_processed_and_the_same_one_again_is_a_duplicate(shop: Shop) -> None:
    name = f"again-{uuid4()}.csv"
    content = write_csv([{"product_id": "901", "product_name": "Twice", "category": "Test", "price": "1.00"}])
    first = await shop.load(name, content)
    second = await shop.load(f"2-{name}", content)
    assert (first["status"], second["status"]) == ("loaded", "duplicate")
    assert second["duplicate_of"] == first["job_id"]
    assert (await kept(shop, "processed", first)).read_bytes() == content


async def test_a_text_file_is_counted_and_archived(shop: Shop) -> None:
    job = await shop.load("notes.txt", b"one\ntwo\nthree\n")
    assert (job["status"], job["bytes"], job["rows"], job["loaded"]) == ("archived", 14, 3, 3)
    await kept(shop, "processed", job)


async def test_a_file_with_a_wrong_header_fails_with_a_sentence(shop: Shop) -> None:
    job = await shop.load("orders-wrong.csv", b"order_id,customer\n1,2\n")
    assert job["status"] == "failed"
    assert "unknown_header" in job["error"]
    await kept(shop, "error", job)


class TestDirty:
    """The dirty set, in one go: what each row becomes, and how it comes right."""

    async def test_every_row_is_accounted_for_and_the_corrected_rejects_load_clean(self, shop: Shop) -> None:
        expected: dict[str, Json] = json.loads((DIRTY / "expected.json").read_text())
        source = f"dirty-{uuid4()}"
        jobs = {}
        for kind in KINDS:
            name = f"{source}-{kind}.csv"
            jobs[kind] = await shop.load(name, (DIRTY / f"{kind}.csv").read_bytes(), source)
            await self.check_statement(shop, jobs[kind], expected[f"{kind}.csv"])
        for kind in KINDS:
            await self.correct(shop, kind, jobs[kind], expected[f"{kind}.csv"], source)
        await self.bring_parents(shop, jobs, source)
        quarantine = await shop.get("/quarantine", source=source)
        assert (quarantine["quarantine"], quarantine["counts"]) == ([], {})
        await self.check_tables(shop)

    async def check_statement(self, shop: Shop, job: Json, expected: Json) -> None:
        statement = {side: job[side] for side in ("rows", *SIDES)}
        assert statement == expected["statement"], job["file_name"]
        assert job["status"] == "loaded_with_rejects"
        found = await shop.rows("SELECT line, reason FROM shop.quarantine WHERE job_id = %s", job["job_id"])
        assert dict(found) == {
            int(line): row["reason"]
            for line, row in expected["lines"].items()
            if row["outcome"] == "quarantined"
        }
        parked = await shop.rows(
            "SELECT line, waits_for, waits_key FROM shop.parked WHERE job_id = %s", job["job_id"]
        )
        assert {line: parent for line, *parent in parked} == {
            int(line): [row["waits_for"], row["waits_key"]]
            for line, row in expected["lines"].items()
            if row["outcome"] == "parked"
        }

    async def correct(self, shop: Shop, kind: str, job: Json, expected: Json, source: str) -> None:
        rejects = shop.stack.data_dir / "invalid" / f"{job['job_id']}__{job['file_name']}.rejects.csv"
        served = await shop.query.get(f"/jobs/{job['job_id']}/rejects.csv")
        assert read_csv(served.content) == read_csv(rejects.read_bytes())
        header = (DIRTY / f"{kind}.csv").read_bytes().splitlines()[0].decode().split(",")
        corrected = []
        for row in read_csv(rejects.read_bytes()):
            wanted = expected["lines"][row["line"]]
            assert row["reason"] == wanted["reason"]
            identity = {name: row[name] for name in ("line", "reason", "message", "message_id", "version")}
            corrected.append({**identity, **dict(zip(header, wanted["corrected"], strict=True))})
        again = await shop.load(f"corrected-{job['file_name']}", write_csv(corrected), source)
        assert (again["status"], again["rows"], again["loaded"]) == ("loaded", len(corrected), len(corrected))

    async def bring_parents(self, shop: Shop, jobs: dict[str, Json], source: str) -> None:
        for kind in ("users", "products", "orders"):
            await shop.load(
                f"late-{source}-{kind}.csv", (DIRTY / "late" / f"{kind}.csv").read_bytes(), source
            )
        for job in jobs.values():
            settled = await shop.settled(job["file_name"])
            assert settled["parked"] == 0
            assert settled["loaded"] == job["loaded"] + job["parked"]
            assert settled["rows"] == sum(settled[side] for side in SIDES)

    async def check_tables(self, shop: Shop) -> None:
        async def ids(statement: LiteralString) -> set[Any]:
            return {row[0] for row in await shop.rows(statement)}

        users = await ids(
            "SELECT user_id FROM shop.users WHERE user_id BETWEEN 101 AND 117 OR user_id = 9101"
        )
        assert users == {*range(101, 118), 9101}
        orders = await ids(
            "SELECT order_id FROM shop.orders WHERE order_id BETWEEN 3001 AND 3010 OR order_id = 9301"
        )
        assert orders == {*range(3001, 3011), 9301}
        items = await ids(
            "SELECT order_item_id FROM shop.order_items WHERE order_item_id BETWEEN 4001 AND 4010"
        )
        assert items == set(range(4001, 4011))


async def test_nothing_is_left_half_way_in_the_folders(shop: Shop) -> None:
    def left() -> Iterable[str]:
        return [
            path.name for path in (shop.stack.data_dir / "work").iterdir() if not path.name.startswith(".")
        ]

    async def empty() -> bool:
        return not left()

    assert await eventually(empty), left()
