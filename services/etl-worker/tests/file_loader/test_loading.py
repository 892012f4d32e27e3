"""Files of the five kinds become rows of the shop, whatever order they come in, and each says what became of it."""

import hashlib
import itertools
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tillstream.contracts.ids import new_id

from .conftest import Shop

pytestmark = pytest.mark.integration

USERS = (
    b"user_id,name,email,signup_date\n1,Ann,ann@example.org,2024-01-05\n2,Bob,bob@example.org,2024-01-06\n"
)
NAMES = ("users.csv", "products.csv", "orders.csv", "order_items.csv", "events.csv")
DATA_TABLES = ["users", "products", "orders", "order_items", "events"]


async def test_a_file_is_loaded_and_its_statement_says_so(shop: Shop) -> None:
    job = await shop.load("users.csv", USERS)
    assert (job["status"], job["kind"], job["rows"], job["loaded"]) == ("loaded", "user", 2, 2)
    assert (job["bytes"], job["sha256"]) == (len(USERS), hashlib.sha256(USERS).hexdigest())
    assert job["started_at"] <= job["finished_at"] == job["settled_at"]
    assert job["elapsed_seconds"] > 0
    assert [row["name"] for row in await shop.rows("SELECT name FROM shop.users ORDER BY user_id")] == [
        "Ann",
        "Bob",
    ]
    assert shop.files() == {
        "input": [],
        "work": [],
        "processed": ["users.csv"],
        "error": [],
        "invalid": [],
        "output": [],
    }


async def test_the_sample_gives_the_same_tables_in_any_order_of_arrival(shop: Shop, repository: Path) -> None:
    sample = {name: (repository / "data/sample" / name).read_bytes() for name in NAMES}
    orders = [NAMES, NAMES[::-1], *(random.Random(seed).sample(NAMES, 5) for seed in range(3))]  # noqa: S311
    job_ids = {name: new_id() for name in NAMES}
    results = []
    for names in orders:
        shop.claims = 0
        for name in names:
            await shop.load(name, sample[name], job_id=job_ids[name])
        await shop.sweep()
        jobs = await shop.rows("SELECT * FROM shop.file_jobs")
        assert {job["status"] for job in jobs} == {"loaded"}
        assert all(job["parked"] == 0 and job["settled_at"] is not None for job in jobs)
        assert all(job["loaded"] == job["rows"] for job in jobs)
        tables = await shop.tables(DATA_TABLES)
        results.append(
            {
                name: [{**row, "version": None, "accepted_at": None} for row in rows]
                for name, rows in tables.items()
            }
        )
        await shop.empty()
    assert all(result == results[0] for result in results)
    assert len(results[0]["users"]) == 10


async def test_files_of_one_drop_run_parents_first(shop: Shop, repository: Path) -> None:
    jobs = [shop.claim(name, (repository / "data/sample" / name).read_bytes()) for name in NAMES[::-1]]
    await shop.queue(*jobs)
    await shop.run_all()
    ran = await shop.rows("SELECT file_name, parked FROM shop.file_jobs ORDER BY finished_at")
    assert [row["file_name"] for row in ran] == list(NAMES)
    assert await shop.rows("SELECT * FROM shop.changes WHERE outcome <> 'stored'") == []


async def test_a_child_before_its_parent_waits_and_moves_to_its_column_when_it_comes(shop: Shop) -> None:
    orders = b"order_id,user_id,order_date,status,total_amount\n7,1,2024-02-01T10:00:00Z,paid,5.00\n"
    job = await shop.load("orders.csv", orders)
    assert (job["status"], job["parked"], job["settled_at"]) == ("loaded", 1, None)
    await shop.load("users.csv", USERS)
    await shop.sweep()
    settled = await shop.job(job["job_id"])
    assert (settled["status"], settled["parked"], settled["loaded"]) == ("loaded", 0, 1)
    assert settled["settled_at"] is not None


async def test_many_chunks_add_up(shop: Shop) -> None:
    rows = b"".join(b"%d,Name %d,u%d@example.org,2024-01-05\r\n" % (n, n, n) for n in range(1, 11))
    job = await shop.load("users.csv", b"\xef\xbb\xbfUser_ID,name,email,signup_date\r\n" + rows)
    assert (job["status"], job["rows"], job["loaded"]) == ("loaded", 10, 10)
    assert (job["next_byte"], job["next_line"]) == (job["bytes"], 12)


@pytest.mark.parametrize("separator", ";\t|")
async def test_other_separators_are_found_out(shop: Shop, separator: str) -> None:
    job = await shop.load("export.csv", USERS.replace(b",", separator.encode()))
    assert (job["status"], job["loaded"]) == ("loaded", 2)


async def test_the_second_drop_of_a_file_is_a_duplicate_and_changes_nothing(shop: Shop) -> None:
    first = await shop.load("users.csv", USERS)
    before = await shop.tables()
    second = await shop.load("again.csv", USERS)
    assert (second["status"], second["duplicate_of"], second["rows"]) == ("duplicate", first["job_id"], 0)
    assert second["settled_at"] is not None
    assert await shop.tables() == before
    assert shop.files()["processed"] == ["again.csv", "users.csv"]


async def test_the_same_bytes_from_another_source_or_after_other_content_are_no_duplicate(shop: Shop) -> None:
    await shop.load("users.csv", USERS)
    assert (await shop.load("users.csv", USERS, source="acme"))["status"] == "loaded"
    changed = await shop.load("users.csv", USERS.replace(b"Bob", b"Bert"))
    assert (changed["unchanged"], changed["loaded"]) == (1, 1)
    again = await shop.load("users.csv", USERS)
    assert (again["status"], again["unchanged"], again["loaded"]) == ("loaded", 1, 1)


async def test_a_file_that_had_rejects_is_loaded_again(shop: Shop) -> None:
    dirty = USERS + b"3,Cas,no-address,2024-01-07\n"
    await shop.load("users.csv", dirty)
    again = await shop.load("users.csv", dirty)
    assert (again["status"], again["unchanged"], again["rejected"]) == ("loaded_with_rejects", 2, 1)


async def test_the_same_bytes_of_a_later_moment_are_no_duplicate(shop: Shop) -> None:
    """Else a file of a moment between the two, which comes last, would count as the newest."""
    first, second, third = (datetime(2026, 2, day, tzinfo=UTC) for day in (1, 2, 3))
    await shop.load("users.csv", USERS, as_of=first)
    later = await shop.load("users.csv", USERS, as_of=third)
    assert (later["status"], later["unchanged"]) == ("loaded", 2)
    for moment in (second, third):
        assert (await shop.load("users.csv", USERS, as_of=moment))["duplicate_of"] == later["job_id"]
    between = await shop.load("users.csv", USERS.replace(b"Bob", b"Old"), as_of=second)
    assert between["superseded"] == 2


async def test_a_declared_as_of_decides_which_file_is_newer(shop: Shop) -> None:
    await shop.load("users.csv", USERS, as_of=datetime(2026, 2, 2, tzinfo=UTC))
    older = await shop.load(
        "users.csv", USERS.replace(b"Bob", b"Old"), as_of=datetime(2026, 2, 1, tzinfo=UTC)
    )
    assert (older["status"], older["superseded"]) == ("loaded", 2)


@pytest.mark.parametrize(
    ("content", "lines"),
    [(b"", 0), (b"one", 1), (b"one\ntwo\n", 2), (b"a\r\nb\rc\n\nd", 5), (b"user_id,name\n\xff", 2)],
)
async def test_text_is_archived_with_its_lines_counted(shop: Shop, content: bytes, lines: int) -> None:
    job = await shop.load("notes.TXT", content)
    assert (job["status"], job["kind"], job["rows"], job["loaded"]) == ("archived", None, lines, lines)
    assert (job["bytes"], job["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert shop.files()["processed"] == ["notes.TXT"]


async def test_another_file_that_is_no_csv_is_archived_but_a_known_header_counts(shop: Shop) -> None:
    assert (await shop.load("picture.bin", b"\x89PNG\r\n\x1a\n\0"))["status"] == "archived"
    assert (await shop.load("users.dat", USERS))["status"] == "loaded"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "empty_file: "),
        (b"a,b\n1,2\n", "unknown_header: "),
        (b"user_id,name,email,signup_date,name\n", "duplicate_column: "),
    ],
)
async def test_a_csv_without_a_known_header_fails_and_lies_in_error(
    shop: Shop, content: bytes, error: str
) -> None:
    job = await shop.load("users.csv", content)
    assert (job["status"], job["rows"]) == ("failed", 0)
    assert job["error"].startswith(error)
    assert job["settled_at"] is not None
    assert shop.files()["error"] == ["users.csv"]


async def test_every_field_may_come_in_any_order_with_updated_at(shop: Shop) -> None:
    names = ("price", "updated_at", "category", "product_name", "product_id")
    cells = {
        "price": "1.50",
        "updated_at": "2024-01-01T00:00:00Z",
        "category": "C",
        "product_name": "P",
        "product_id": "1",
    }
    for number, order in enumerate(itertools.islice(itertools.permutations(names), 0, 120, 40)):
        content = ",".join(order) + "\n" + ",".join(cells[name] for name in order) + "\n"
        job = await shop.load(f"{number}.csv", content.encode())
        assert (job["status"], job["rows"]) == ("loaded", 1)
    (product,) = await shop.rows("SELECT product_name, category, price FROM shop.products")
    assert (product["product_name"], product["category"], str(product["price"])) == ("P", "C", "1.50")


async def test_a_file_with_too_many_refused_rows_is_not_read_to_its_end(shop: Shop) -> None:
    """What was loaded before stays, and the statement adds up; corrected as a whole, it loads."""
    shop.start(file_max_rejects=4)
    rows = [b"%d,Ann,ann%d@example.org,2024-01-05" % (n, n) for n in range(1, 16)]
    bad = [row.replace(b"@", b"") if n % 2 else row for n, row in enumerate(rows)]
    header = USERS.splitlines()[0]

    failed = await shop.load("users.csv", b"\n".join([header, *bad]))

    assert (failed["status"], failed["rows"], failed["loaded"], failed["rejected"]) == ("failed", 12, 6, 6)
    assert failed["error"].startswith("too_many_rejects: ")
    assert (shop.files()["error"], shop.files()["processed"]) == (["users.csv"], [])
    assert shop.rejects(failed).count(b"invalid_email") == failed["rejected"]

    again = await shop.load("users.csv", b"\n".join([header, *rows]))
    assert (again["status"], again["rows"]) == ("loaded", 15)
    assert again["loaded"] + again["unchanged"] == 15


async def test_as_many_refused_rows_as_are_allowed_are_no_matter(shop: Shop) -> None:
    shop.start(file_max_rejects=1)
    job = await shop.load("users.csv", USERS.replace(b"ann@", b"ann"))
    assert (job["status"], job["loaded"], job["rejected"]) == ("loaded_with_rejects", 1, 1)
