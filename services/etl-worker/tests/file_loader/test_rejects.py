"""A dirty file says what became of every row, and its rejects, once corrected, load as if they had been right at first."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from tillstream.contracts.ids import row_message_id
from tillstream.csv.header import REJECT_COLUMNS

from .conftest import SIDES, Shop

pytestmark = pytest.mark.integration

NAMES = ("users.csv", "products.csv", "orders.csv", "order_items.csv", "events.csv")
HEADER = b"user_id,name,email,signup_date\n"
# As the view behind `/jobs/{job_id}/rejects.csv` has it.
OPEN_REJECTS = "SELECT line, reason FROM shop.quarantine WHERE job_id = %s AND resolved_at IS NULL"
SIDE_OF = {"stored": "loaded", "duplicate": "duplicate", "parked": "parked", "quarantined": "rejected"}


def table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def written(rows: list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def corrected(rejects: bytes, lines: dict[str, Any]) -> bytes:
    """The rejects file as a person sends it back: with the right cells in every row."""
    header, *rows = table(rejects)
    return written([header, *([*row[: len(REJECT_COLUMNS)], *lines[row[0]]["corrected"]] for row in rows)])


async def load_dirty(shop: Shop, repository: Path) -> dict[str, dict[str, Any]]:
    return {
        name: await shop.load(name, (repository / "data/sample-dirty" / name).read_bytes()) for name in NAMES
    }


async def test_every_row_of_the_dirty_sample_ends_as_foretold(
    shop: Shop, repository: Path, dirty: dict[str, Any]
) -> None:
    jobs = await load_dirty(shop, repository)
    for name, job in jobs.items():
        expected = dirty[name]
        assert {side: job[side] for side in ("rows", *SIDES)} == expected["statement"], name
        assert job["status"] == "loaded_with_rejects"
        kept = await shop.rows("SELECT line, reason FROM shop.quarantine WHERE job_id = %s", job["job_id"])
        refused = {line: each["reason"] for line, each in expected["lines"].items() if "reason" in each}
        assert {str(row["line"]): row["reason"] for row in kept} == refused, name
        assert {row[0]: row[1] for row in table(shop.rejects(job))[1:]} == refused, name


async def test_corrected_rejects_load_clean_and_close_what_was_open(
    shop: Shop, repository: Path, dirty: dict[str, Any]
) -> None:
    jobs = await load_dirty(shop, repository)
    for name, job in jobs.items():
        again = await shop.load(f"fixed_{name}", corrected(shop.rejects(job), dirty[name]["lines"]))
        assert (again["status"], again["rejected"], again["loaded"]) == ("loaded", 0, job["rejected"]), name
    assert await shop.rows("SELECT * FROM shop.quarantine WHERE resolved_at IS NULL") == []
    stored = await shop.rows("SELECT * FROM shop.users WHERE user_id = 103")
    assert [row["email"] for row in stored] == ["paula@example.org"]


async def test_a_corrected_row_has_the_id_and_version_of_its_first_attempt(shop: Shop) -> None:
    first = await shop.load("users.csv", HEADER + b"1,Ann,no-address,2024-01-05\n")
    newer = await shop.load("users.csv", HEADER + b"1,Anna,anna@example.org,2024-01-05\n")
    assert newer["loaded"] == 1
    again = await shop.load("fixed.csv", shop.rejects(first).replace(b"no-address", b"ann@example.org"))
    assert (again["status"], again["superseded"]) == ("loaded", 1)
    (user,) = await shop.rows("SELECT name FROM shop.users")
    assert user["name"] == "Anna"
    (change,) = await shop.rows(
        "SELECT outcome FROM shop.changes WHERE message_id = %s", row_message_id(first["job_id"], 2)
    )
    assert change["outcome"] == "superseded"


async def test_rejects_dropped_back_as_they_are_are_refused_again_and_nothing_is_counted_twice(
    shop: Shop,
) -> None:
    first = await shop.load(
        "users.csv", HEADER + b"1,=Ann,no-address,2024-01-05\n2,Bob\n3,C\xe9,c@example.org,2024-01-05\n"
    )
    rejects = shop.rejects(first)
    for _ in range(3):
        again = await shop.load("rejects.csv", rejects)
        assert (again["status"], again["rows"], again["rejected"]) == ("loaded_with_rejects", 3, 3)
        assert len(table(shop.rejects(again))) == 4
    assert b"'=Ann" in rejects
    assert await shop.rows("SELECT * FROM shop.users") == []


async def test_corrected_rejects_dropped_twice_change_nothing_the_second_time(shop: Shop) -> None:
    first = await shop.load("users.csv", HEADER + b"1,=Ann,no-address,2024-01-05\n")
    fixed = shop.rejects(first).replace(b"no-address", b"ann@example.org")
    assert (await shop.load("fixed.csv", fixed))["loaded"] == 1
    before = await shop.tables()
    again = await shop.load("fixed.csv", fixed + b"\r\n")
    assert (again["status"], again["duplicate"]) == ("loaded", 1)
    assert await shop.tables() == before
    assert [row["name"] for row in await shop.rows("SELECT name FROM shop.users")] == ["=Ann"]


async def test_an_invented_identity_loads_nothing(shop: Shop) -> None:
    first = await shop.load("users.csv", HEADER + b"1,Ann,no-address,2024-01-05\n")
    rejects = shop.rejects(first).replace(b"no-address", b"ann@example.org")
    version = table(rejects)[1][4].encode()
    forged = await shop.load("forged.csv", rejects.replace(version, b"v" + b"f" * 80))
    other = await shop.load(
        "other.csv",
        rejects.replace(str(table(rejects)[1][3]).encode(), b"0190163d-8694-7394-8a1c-1d2d3b2c5a11"),
    )
    assert (forged["rejected"], other["rejected"]) == (1, 1)
    assert await shop.rows("SELECT * FROM shop.users") == []


async def test_an_event_corrected_by_a_later_export_too_is_one_event(shop: Shop) -> None:
    await shop.load("users.csv", HEADER + b"1,Ann,ann@example.org,2024-01-05\n")
    header = b"user_id,event_type,event_timestamp\n"
    first = await shop.load("events.csv", header + b"1,page_vew,2024-02-01T10:00:00Z\n", source="acme")
    await shop.load("fixed.csv", shop.rejects(first).replace(b"page_vew", b"page_view"))
    export = await shop.load("events.csv", header + b"1,page_view,2024-02-01T10:00:00Z\n", source="acme")
    assert export["duplicate"] == 1
    assert len(await shop.rows("SELECT * FROM shop.events")) == 1
    assert await shop.rows("SELECT * FROM shop.quarantine WHERE resolved_at IS NULL") == []


async def test_a_repeated_key_is_refused_across_chunks_but_a_refused_row_takes_no_key(shop: Shop) -> None:
    good = b"".join(b"%d,N,u%d@example.org,2024-01-05\n" % (n, n) for n in range(2, 8))
    rows = (
        b"1,Ann,bad,2024-01-05\n"
        + good
        + b"1,Ann,ann@example.org,2024-01-05\n2,Again,again@example.org,2024-01-05\n"
    )
    job = await shop.load("users.csv", HEADER + rows)
    assert (job["loaded"], job["rejected"]) == (7, 2)
    kept = await shop.rows("SELECT line, reason FROM shop.quarantine ORDER BY line")
    assert [(row["line"], row["reason"]) for row in kept] == [(2, "invalid_email"), (10, "duplicate_key")]


async def test_an_order_item_id_may_not_repeat_in_a_file_even_for_another_order(shop: Shop) -> None:
    header = b"order_item_id,order_id,product_id,quantity,unit_price\n"
    job = await shop.load("items.csv", header + b"1,1,1,1,1.00\n1,2,1,1,1.00\n")
    assert (job["parked"], job["rejected"]) == (1, 1)


async def test_rejects_of_a_file_with_other_separators_come_as_commas(shop: Shop) -> None:
    job = await shop.load("users.csv", b"USER_ID;name;email;signup_date\n1;a,b;nobody;2024-01-05\n")
    header, row = table(shop.rejects(job))
    assert header == [*REJECT_COLUMNS, "user_id", "name", "email", "signup_date"]
    assert row[5:] == ["1", "a,b", "nobody", "2024-01-05"]


async def test_a_refused_row_that_is_dropped_again_is_refused_again_and_kept_once(shop: Shop) -> None:
    content = b"event_id,user_id,event_type,event_timestamp\nown-1,1,page_veiw,2024-05-05\n"
    first = await shop.load("events.csv", content)
    second = await shop.load("events.csv", content)

    assert [(job["status"], job["rejected"], job["duplicate"]) for job in (first, second)] == [
        ("loaded_with_rejects", 1, 0)
    ] * 2
    assert [row[1] for row in table(shop.rejects(second))[1:]] == ["invalid_event_type"]
    assert len(await shop.rows("SELECT id FROM shop.quarantine")) == 1


async def test_a_refused_row_that_comes_again_after_its_correction_is_open_again_in_both_rejects_files(
    shop: Shop,
) -> None:
    await shop.load("users.csv", HEADER + b"1,Ann,ann@example.org,2024-01-05\n")
    content = b"event_id,user_id,event_type,event_timestamp\nown-1,1,page_veiw,2024-05-05\n"
    first = await shop.load("events.csv", content)
    fixed = shop.rejects(first).replace(b"page_veiw", b"page_view")
    assert (await shop.load("fixed.csv", fixed))["loaded"] == 1
    assert await shop.rows(OPEN_REJECTS, first["job_id"]) == []

    again = await shop.load("events.csv", content)
    assert (again["status"], again["rejected"]) == ("loaded_with_rejects", 1)
    assert [row[:2] for row in table(shop.rejects(again))[1:]] == [["2", "invalid_event_type"]]
    assert await shop.rows(OPEN_REJECTS, again["job_id"]) == [{"line": 2, "reason": "invalid_event_type"}]

    fixed = shop.rejects(again).replace(b"page_veiw", b"page_view")
    assert (await shop.load("fixed again.csv", fixed))["duplicate"] == 1
    assert await shop.rows(OPEN_REJECTS, again["job_id"]) == []


async def test_a_correction_that_a_spreadsheet_gave_another_event_id_is_refused(shop: Shop) -> None:
    """00017 comes back as 17: under its own id the first event would be counted a second time when it is exported again."""
    await shop.load("users.csv", b"user_id,name,email,signup_date\n1,Ann,ann@example.org,2024-01-05\n")
    content = b"event_id,user_id,event_type,event_timestamp\n00017,1,page_veiw,2024-05-05\n"
    rejects = shop.rejects(await shop.load("events.csv", content)).replace(b"page_veiw", b"page_view")

    mangled = await shop.load("mangled.csv", rejects.replace(b"00017", b"17"))
    assert (mangled["loaded"], mangled["rejected"]) == (0, 1)
    reasons = await shop.rows(
        "SELECT reason, field FROM shop.quarantine WHERE job_id = %s", mangled["job_id"]
    )
    assert reasons == [{"reason": "invalid_id", "field": "event_id"}]

    right = await shop.load("right.csv", rejects)
    again = await shop.load("again.csv", content.replace(b"page_veiw", b"page_view"))
    assert ((right["loaded"], right["rejected"]), again["duplicate"]) == ((1, 0), 1)
