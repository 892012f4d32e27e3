"""Rows of files that waited for a parent until their time was over are rejects like all others, also on the disk."""

import csv
import io
import os
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from etl_worker.file_loader.app import Ports
from tillstream.apply.engine import ApplyPolicy, Engine
from tillstream.errors import Retryable

from .conftest import Shop
from .crashes import Crash, Tripwire, wire_up

pytestmark = pytest.mark.integration

USERS = b"user_id,name,email,signup_date\n"
ORDERS = b"order_id,user_id,order_date,status,total_amount\n"
EVENTS = b"user_id,event_type,event_timestamp\n"
# The first is stored, the second refused, the third and fourth wait for users that never come.
SOME = ORDERS + (
    b"1,1,2024-02-01,paid,5.00\n2,1,2024-02-01,lost,5.00\n3,8,2024-02-01,paid,5.00\n4,9,2024-02-01,paid,5.00\n"
)
OPEN_REJECTS = (
    "SELECT line, reason FROM shop.quarantine WHERE job_id = %s AND resolved_at IS NULL ORDER BY line"
)
JOB_ID = UUID(int=7)


def lines(content: bytes) -> list[list[str]]:
    """Line and reason of every row of a rejects file."""
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    return [row[:2] for row in rows[1:]]


async def let_time_pass(shop: Shop) -> None:
    """What waits has waited for too long, and the worker sweeps."""
    await shop.conn.execute("UPDATE shop.parked SET expires_at = now() - interval '1 second'")
    await shop.sweep()


@pytest.fixture
async def waiting(shop: Shop) -> dict[str, Any]:
    """The job of a file of which rows wait."""
    await shop.load("users.csv", USERS + b"1,Ann,ann@example.org,2024-01-05\n")
    return await shop.load("orders.csv", SOME)


async def test_rows_that_waited_in_vain_turn_the_status_settle_the_job_and_come_into_its_rejects_file(
    shop: Shop, waiting: dict[str, Any]
) -> None:
    assert (waiting["status"], waiting["parked"], waiting["settled_at"]) == ("loaded_with_rejects", 2, None)
    assert lines(shop.rejects(waiting)) == [["3", "invalid_status"]]
    await let_time_pass(shop)
    job = await shop.job(waiting["job_id"])
    assert (job["parked"], job["rejected"], job["settled_at"] is not None) == (0, 3, True)
    await shop.app.tidy.once()
    wanted = [["3", "invalid_status"], ["4", "unknown_user"], ["5", "unknown_user"]]
    assert lines(shop.rejects(job)) == wanted
    kept = await shop.rows(OPEN_REJECTS, job["job_id"])
    assert [[str(row["line"]), row["reason"]] for row in kept] == wanted
    assert shop.app.metrics.registry.get_sample_value("tillstream_file_rejects_completed_total") == 1


async def test_a_job_without_rejects_has_them_and_a_file_of_them_once_its_rows_waited_in_vain(
    shop: Shop,
) -> None:
    job = await shop.load("events.csv", EVENTS + b"9,page_view,2024-02-01T10:00:00Z\n")
    assert (job["status"], shop.files()["invalid"]) == ("loaded", [])
    await let_time_pass(shop)
    await shop.app.tidy.once()
    job = await shop.job(job["job_id"])
    assert (job["status"], job["settled_at"] is not None) == ("loaded_with_rejects", True)
    assert lines(shop.rejects(job)) == [["2", "unknown_user"]]


async def test_the_file_is_written_when_the_job_is_settled_and_only_once(
    shop: Shop, waiting: dict[str, Any]
) -> None:
    await shop.conn.execute("UPDATE shop.parked SET expires_at = now() - interval '1 second' WHERE line = 4")
    await shop.sweep()
    before = shop.rejects(waiting)
    await shop.app.tidy.once()
    assert shop.rejects(waiting) == before
    await let_time_pass(shop)
    await shop.app.tidy.once()
    path = shop.folders.invalid / f"{waiting['job_id']}__orders.csv.rejects.csv"
    inode = path.stat().st_ino
    await shop.app.tidy.once()
    assert path.stat().st_ino == inode
    assert len(lines(shop.rejects(waiting))) == 3


async def test_what_was_corrected_meanwhile_is_not_in_the_new_file(
    shop: Shop, waiting: dict[str, Any]
) -> None:
    fixed = await shop.load("fixed.csv", shop.rejects(waiting).replace(b"lost", b"paid"))
    assert fixed["loaded"] == 1
    await let_time_pass(shop)
    await shop.app.tidy.once()
    assert lines(shop.rejects(waiting)) == [["4", "unknown_user"], ["5", "unknown_user"]]


async def test_rows_that_waited_in_vain_load_once_they_are_corrected_and_dropped_back(
    shop: Shop, waiting: dict[str, Any]
) -> None:
    await let_time_pass(shop)
    await shop.app.tidy.once()
    mended = (
        shop.rejects(waiting).replace(b"lost", b"paid").replace(b"4,9,", b"4,1,").replace(b"3,8,", b"3,1,")
    )
    again = await shop.load("fixed.csv", mended)
    assert (again["status"], again["loaded"], again["rejected"]) == ("loaded", 3, 0)
    assert await shop.rows(OPEN_REJECTS, waiting["job_id"]) == []
    assert [row["user_id"] for row in await shop.rows("SELECT user_id FROM shop.orders")] == [1] * 4
    links = await shop.rows("SELECT job_id, corrects FROM shop.file_job_corrections")
    assert links == [{"job_id": again["job_id"], "corrects": waiting["job_id"]}]


async def test_an_event_that_waited_in_vain_loads_once_its_user_is_named_right(shop: Shop) -> None:
    await shop.load("users.csv", USERS + b"1,Ann,ann@example.org,2024-01-05\n")
    job = await shop.load("events.csv", EVENTS + b"9,page_view,2024-02-01T10:00:00Z\n")
    await let_time_pass(shop)
    await shop.app.tidy.once()
    again = await shop.load("fixed.csv", shop.rejects(job).replace(b",9,page", b",1,page"))
    assert (again["status"], again["loaded"]) == ("loaded", 1)
    assert await shop.rows(OPEN_REJECTS, job["job_id"]) == []
    assert len(await shop.rows("SELECT * FROM shop.events")) == 1


async def test_rows_of_a_file_wait_for_as_long_as_the_loader_is_set(shop: Shop) -> None:
    engine = Engine(ApplyPolicy(parked_for=timedelta(hours=1)))
    shop.start(replace(shop.ports(), apply=engine.apply))
    await shop.load("orders.csv", ORDERS + b"3,8,2024-02-01,paid,5.00\n")
    (row,) = await shop.rows("SELECT expires_at - parked_at AS waits FROM shop.parked")
    assert row["waits"] == timedelta(hours=1)


async def test_a_rejects_file_that_somebody_edited_in_its_place_is_kept(
    shop: Shop, waiting: dict[str, Any]
) -> None:
    path = shop.folders.invalid / f"{waiting['job_id']}__orders.csv.rejects.csv"
    edited = [path.read_bytes().replace(b"lost", b"paid"), b"another piece of work"]
    for content in edited:
        path.write_bytes(content)
        await let_time_pass(shop)
        await shop.conn.execute("UPDATE shop.file_jobs SET late_rejects = late_rejects + 1 WHERE parked = 0")
        await shop.app.tidy.once()
    kept = [path.with_name(f"{waiting['job_id']}__orders.csv.edited-{n}.csv").read_bytes() for n in (1, 2)]
    assert kept == edited
    assert len(lines(shop.rejects(waiting))) == 3
    assert len(list(shop.folders.invalid.iterdir())) == 3


async def test_a_rejects_file_that_was_taken_away_comes_back_with_what_is_open(
    shop: Shop, waiting: dict[str, Any]
) -> None:
    (shop.folders.invalid / f"{waiting['job_id']}__orders.csv.rejects.csv").unlink()
    await let_time_pass(shop)
    await shop.app.tidy.once()
    assert len(lines(shop.rejects(waiting))) == 3


async def test_rows_refused_while_the_file_is_written_come_into_the_next_one(
    shop: Shop, waiting: dict[str, Any]
) -> None:
    """The count is read before the rows: it is never newer than the file."""
    await shop.conn.execute("UPDATE shop.parked SET expires_at = now() - interval '1 second' WHERE line = 4")
    await shop.sweep()
    await shop.conn.execute("UPDATE shop.file_jobs SET settled_at = now() WHERE parked > 0")
    ports = shop.ports()
    written = ports.over.late_rejects_written

    async def meddle(conn: AsyncConnection, late: Any) -> None:
        await let_time_pass(shop)
        await written(conn, late)

    ports.over.late_rejects_written = meddle  # type: ignore[method-assign]
    shop.start(ports)
    await shop.app.tidy.once()
    assert len(lines(shop.rejects(waiting))) == 2
    ports.over.late_rejects_written = written  # type: ignore[method-assign]
    await shop.app.tidy.once()
    assert len(lines(shop.rejects(waiting))) == 3


async def test_two_loaders_do_not_write_one_file_at_a_time(shop: Shop, waiting: dict[str, Any]) -> None:
    await let_time_pass(shop)
    before = shop.rejects(waiting)
    assert await shop.ports().over.begin_tidying(shop.conn)
    await shop.app.tidy.once()
    assert shop.rejects(waiting) == before
    await shop.ports().over.end_tidying(shop.conn)
    await shop.app.tidy.once()
    assert len(lines(shop.rejects(waiting))) == 3


async def test_a_disk_that_fails_is_waited_for_and_the_turn_given_up(
    shop: Shop, waiting: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await let_time_pass(shop)

    def no_space(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        with pytest.raises(Retryable, match="No space left"):
            await shop.app.tidy.once()
    first = shop.app
    shop.start()
    await shop.app.tidy.once()
    assert len(lines(shop.rejects(waiting))) == 3
    await first.close()


async def end_after_a_crash(shop: Shop, dies_at: int) -> tuple[str | None, Any]:
    """The step at which the tidying process died, and how it was after the next one."""
    shop.claims = 0
    await shop.load("users.csv", USERS + b"1,Ann,ann@example.org,2024-01-05\n")
    job = await shop.load("orders.csv", SOME, job_id=JOB_ID)
    await let_time_pass(shop)
    await shop.crash()
    died = await _tidy(shop, wire_up(shop.ports(), Tripwire(dies_at)))
    await _tidy(shop, shop.ports())
    (row,) = await shop.rows(
        "SELECT late_rejects - late_rejects_written AS missing FROM shop.file_jobs WHERE kind = 'order'"
    )
    names = sorted(path.name for path in shop.folders.invalid.iterdir())
    return died, (lines(shop.rejects(job)), row["missing"], names)


async def _tidy(shop: Shop, ports: Ports) -> str | None:
    shop.start(ports)
    try:
        await shop.app.tidy.once()
    except Crash as crash:
        return str(crash)
    finally:
        await shop.crash()
    return None


async def test_a_crash_at_any_step_leaves_the_file_whole_in_the_end(shop: Shop) -> None:
    died: list[str] = []
    nobody, expected = await end_after_a_crash(shop, 0)
    assert (nobody, len(expected[0]), expected[1]) == (None, 3, 0)
    while True:
        await shop.empty()
        step, found = await end_after_a_crash(shop, len(died) + 1)
        assert found == expected, f"after a crash at step {len(died) + 1}, {step}"
        if step is None:
            break
        died.append(step)
    assert {"late_rejects", "rejects_file", "end of rejects_file", "late_rejects_written"} <= set(died)
