"""A loader that dies, is fenced or finds its file changed leaves nothing half done, and the next one ends where it would have."""

import asyncio
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from etl_worker.file_loader.claimed_file import ClaimedFile
from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.failures import DiskUnavailable
from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.contracts.files import FileJob
from tillstream.contracts.messages import Message
from tillstream.errors import DatabaseUnavailable, OwnershipLost
from tillstream.testing.waiting import eventually

from .conftest import Shop, make_app
from .crashes import Crash, Tripwire, wire_up

pytestmark = pytest.mark.fault

DEADLINE_S = 30.0
JOB_IDS = [UUID(int=number) for number in range(1, 4)]
HEADER = b"user_id,name,email,signup_date\n"
# Two chunks and a bit: good rows, a broken one, a key that is repeated across chunks.
USERS = HEADER + (
    b"1,Ann,ann@example.org,2024-01-05\n2,Bob,bob,2024-01-05\n3,Cas,cas@example.org,2024-01-05\n"
    b"4,Dan,dan@example.org,2024-01-05\n1,Ann,other@example.org,2024-01-05\n5,Eve,eve@example.org,2024-01-05\n"
    b"6,Fay,fay@example.org,2024-01-05\n"
)
# One row that waits for its user, and one that is stored without a message.
ORDERS = b"order_id,user_id,order_date,status,total_amount\n7,9,2024-02-01T10:00:00Z,paid,5.00\n8,1,2024-02-01,paid,6\n"
_LEASE = {"lease_epoch", "lease_pid", "lease_backend_start", "elapsed_seconds"}
_MOMENTS = {"created_at", "started_at", "finished_at", "settled_at"}


def claim_all(shop: Shop) -> list[FileJob]:
    shop.claims = 0
    files = (("users.csv", USERS), ("orders.csv", ORDERS), ("notes.txt", b"one\ntwo\n"))
    return [
        shop.claim(name, content, job_id=id_) for (name, content), id_ in zip(files, JOB_IDS, strict=True)
    ]


async def end_state(shop: Shop) -> dict[str, Any]:
    """Everything that must not depend on how often the loader died."""
    jobs = [await shop.job(job_id) for job_id in JOB_IDS]
    statements = [
        {
            key: value is not None if key in _MOMENTS else value
            for key, value in job.items()
            if key not in _LEASE
        }
        for job in jobs
    ]
    rejects = {path.name: path.read_bytes() for path in shop.folders.invalid.iterdir()}
    return {"jobs": statements, "tables": await shop.tables(), "files": shop.files(), "rejects": rejects}


async def run_with_crash(shop: Shop, dies_at: int) -> str | None:
    """Load everything, dying once at the given step and starting anew. The step's name; None: it was never reached."""
    shop.start(wire_up(shop.ports(), Tripwire(dies_at)))
    jobs = claim_all(shop)
    died = None
    for _ in range(2):
        try:
            await shop.queue(*jobs)
            await shop.run_all()
            break
        except Crash as crash:
            died = str(crash)
            await shop.crash()
            shop.start()
    await shop.crash()
    return died


async def test_a_crash_between_any_two_steps_ends_in_the_same_state(shop: Shop) -> None:
    assert await run_with_crash(shop, dies_at=0) is None
    expected = await end_state(shop)
    assert [job["status"] for job in expected["jobs"]] == ["loaded_with_rejects", "loaded", "archived"]
    assert expected["files"]["work"] == []
    died: list[str] = []
    while True:
        await shop.empty()
        step = await run_with_crash(shop, dies_at=len(died) + 1)
        if step is None:
            break
        died.append(step)
        assert await end_state(shop) == expected, f"after a crash at step {len(died)}, {step}"
    assert {"stage", "store", "apply", "advance", "commit", "finish"} <= set(died)
    assert {"end of rejects_file", "put_away"} <= set(died)


async def test_the_file_of_a_job_that_is_over_is_put_away_by_the_next_process(shop: Shop) -> None:
    job = await shop.load("users.csv", USERS)
    name = f"{job['job_id']}__users.csv"
    (shop.folders.processed / name).rename(shop.folders.work / name)
    shop.start()
    assert await shop.run_all() == []
    assert shop.files()["work"] == []
    assert shop.files()["processed"] == ["users.csv"]


async def test_a_file_whose_last_place_is_away_waits_for_it_with_its_job(shop: Shop) -> None:
    job = shop.claim("users.csv", USERS)
    await shop.queue(job)
    shop.folders.processed.rmdir()
    with pytest.raises(DiskUnavailable):
        await shop.run_all()
    assert shop.folders.sidecar(job.job_id).exists()
    shop.folders.processed.mkdir()
    await shop.run_all()
    assert (shop.files()["work"], shop.files()["processed"]) == ([], ["users.csv"])


class Meddling:
    """An engine that does something in the middle of a given chunk."""

    def __init__(self, chunk: int, meddle: Callable[[], object]) -> None:
        self._before = chunk
        self._meddle = meddle
        self._engine = Engine()

    async def apply(self, conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        applied = await self._engine.apply(conn, messages)
        self._before -= 1
        if self._before == 0:
            result = self._meddle()
            if asyncio.iscoroutine(result):
                await result
        return applied


def start_meddling(shop: Shop, chunk: int, meddle: Callable[[], object]) -> None:
    shop.start(replace(shop.ports(), apply=Meddling(chunk, meddle).apply))


@pytest.mark.parametrize("change", ["append", "rewrite", "truncate", "link"])
async def test_a_file_that_changes_under_way_fails_after_the_chunks_before(shop: Shop, change: str) -> None:
    job = shop.claim("users.csv", USERS)
    path = shop.folders.work / job.stored_name
    changes: dict[str, Callable[[], object]] = {
        "append": lambda: path.write_bytes(USERS + b"8,X,x@example.org,2024-01-05\n"),
        "rewrite": lambda: path.write_bytes(USERS.swapcase()),
        "truncate": lambda: os.truncate(path, 40),
        "link": lambda: (shop.folders.root / "other").hardlink_to(path),
    }
    start_meddling(shop, 2, changes[change])
    await shop.queue(job)
    await shop.run_all()
    ended = await shop.job(job.job_id)
    assert (ended["status"], ended["rows"], ended["loaded"], ended["rejected"]) == ("failed", 3, 2, 1)
    assert ended["error"].startswith("file_changed")
    assert shop.files()["error"] == ["users.csv"]
    assert len(await shop.rows("SELECT * FROM shop.users")) == 2


async def test_a_file_that_changes_after_its_last_chunk_fails_with_all_of_its_rows(shop: Shop) -> None:
    """Nothing is read after that chunk, and no transaction follows but the one of the statement."""
    job, ports, chunks = shop.claim("users.csv", USERS), shop.ports(), list[int]()

    async def wake(
        conn: AsyncConnection, applied: Sequence[Applied], also: Sequence[tuple[str, int]]
    ) -> Sequence[Applied]:
        chunks.append(len(applied))
        if sum(chunks) == 7:
            with (shop.folders.work / job.stored_name).open("ab") as file:
                file.write(b"8,X,x@example.org,2024-01-05\n")
        return await ports.wake(conn, applied, also)

    shop.start(replace(ports, wake=wake))
    await shop.queue(job)
    await shop.run_all()
    ended = await shop.job(job.job_id)
    assert (ended["status"], ended["rows"], ended["error"].partition(":")[0]) == ("failed", 7, "file_changed")
    assert (shop.files()["error"], shop.files()["processed"]) == (["users.csv"], [])


class EndsEarly(Desk):
    """On a disk that, when the rows are read, says that the file is over before it is. The hash was of all of it."""

    def open(self, name: str) -> ClaimedFile:
        file = super().open(name)
        wind = file.wind

        async def wind_and_cut(to_byte: int, pulse: Callable[[], None]) -> None:
            await wind(to_byte, pulse)
            file._text = io.BytesIO(USERS[: USERS.index(b"6,Fay")])
            file._text.seek(to_byte)

        file.wind = wind_and_cut  # type: ignore[method-assign]
        return file


async def test_rows_that_do_not_reach_the_end_of_the_file_fail_it(shop: Shop) -> None:
    shop.start(replace(shop.ports(), desk=EndsEarly(shop.folders)))
    ended = await shop.load("users.csv", USERS)
    assert (ended["status"], ended["rows"]) == ("failed", 6)
    assert ended["error"].startswith("does_not_add_up: its records end at byte ")
    assert shop.files()["error"] == ["users.csv"]


async def test_a_file_that_changed_while_no_loader_ran_fails(shop: Shop) -> None:
    job = shop.claim("users.csv", USERS)

    def die() -> None:
        raise Crash

    start_meddling(shop, 2, die)
    await shop.queue(job)
    with pytest.raises(Crash):
        await shop.run_all()
    await shop.crash()
    (shop.folders.work / job.stored_name).write_bytes(USERS.replace(b"Fay", b"Fae"))
    shop.start()
    await shop.run_all()
    ended = await shop.job(job.job_id)
    assert (ended["status"], ended["rows"]) == ("failed", 3)
    assert ended["error"].startswith("file_changed")


async def test_a_claimed_file_that_is_gone_or_no_regular_one_fails(shop: Shop, tmp_path: Path) -> None:
    gone, linked = (shop.claim(name, USERS) for name in ("gone.csv", "linked.csv"))
    (shop.folders.work / gone.stored_name).unlink()
    (shop.folders.work / linked.stored_name).rename(tmp_path / "elsewhere")
    (shop.folders.work / linked.stored_name).symlink_to(tmp_path / "elsewhere")
    await shop.queue(gone, linked)
    await shop.run_all()
    errors = [(await shop.job(job.job_id))["error"].partition(":")[0] for job in (gone, linked)]
    assert errors == ["file_missing", "not_a_regular_file"]
    assert await shop.rows("SELECT * FROM shop.users") == []


async def test_a_loader_whose_job_was_taken_over_writes_nothing_more(shop: Shop) -> None:
    job = shop.claim("users.csv", USERS)
    old = make_app(shop.database, shop.folders, shop.ports())
    new = make_app(shop.database, shop.folders, shop.ports())

    async def take_over() -> None:
        conn = await new.connect()
        try:
            await conn.execute("UPDATE shop.file_jobs SET lease_epoch = lease_epoch + 1")
        finally:
            await conn.close()

    shop.app = old
    start_meddling(shop, 2, take_over)
    await shop.queue(job)
    with pytest.raises(OwnershipLost):
        await shop.app.runner.run_next()
    assert (await shop.job(job.job_id))["rows"] == 3
    assert len(await shop.rows("SELECT * FROM shop.users")) == 2


async def test_a_new_process_ends_the_session_that_holds_a_running_job(shop: Shop) -> None:
    job = shop.claim("users.csv", USERS)
    others: list[int] = []

    async def successor() -> None:
        new = make_app(shop.database, shop.folders, shop.ports())
        while (statement := await new.runner.run_next()) is not None:
            others.append(statement.rows)
        await new.runner.close()

    start_meddling(shop, 2, successor)
    await shop.queue(job)
    with pytest.raises(DatabaseUnavailable):
        await shop.app.runner.run_next()
    assert others == [7]
    ended = await shop.job(job.job_id)
    assert (ended["status"], ended["lease_epoch"], ended["loaded"], ended["rejected"]) == (
        "loaded_with_rejects",
        2,
        5,
        2,
    )


async def test_a_job_that_another_living_process_runs_is_left_to_it(shop: Shop) -> None:
    job = shop.claim("users.csv", USERS)
    idle = make_app(shop.database, shop.folders, shop.ports())
    assert await idle.runner.run_next() is None
    seen: list[object] = []

    async def look() -> None:
        seen.append(await idle.runner.run_next())

    start_meddling(shop, 1, look)
    await shop.queue(job)
    (statement,) = await shop.run_all()
    await idle.runner.close()
    assert seen == [None]
    assert statement.rows == 7


async def test_the_whole_process_loads_what_is_sent_and_stops_when_asked(shop: Shop) -> None:
    stop = asyncio.Event()
    job = shop.claim("users.csv", HEADER + b"1,Ann,ann@example.org,2024-01-05\n")
    async with shop.app.running():
        working = asyncio.create_task(shop.app.work(stop))
        await shop.send(job)
        await eventually(
            lambda: shop.rows(
                "SELECT 1 FROM shop.file_jobs WHERE job_id = %s AND status = 'loaded'", job.job_id
            ),
            DEADLINE_S,
        )
        stop.set()
        await asyncio.wait_for(working, DEADLINE_S)
    assert (await shop.job(job.job_id))["loaded"] == 1


async def test_a_stop_in_the_middle_rolls_the_chunk_back_and_the_next_process_goes_on(shop: Shop) -> None:
    stop = asyncio.Event()
    entered = asyncio.Event()
    job = shop.claim("users.csv", USERS)

    async def hang() -> None:
        entered.set()
        await asyncio.Event().wait()

    start_meddling(shop, 2, hang)
    async with shop.app.running():
        working = asyncio.create_task(shop.app.work(stop))
        await shop.send(job)
        await asyncio.wait_for(entered.wait(), DEADLINE_S)
        stop.set()
        await asyncio.wait_for(working, DEADLINE_S)
    assert ((await shop.job(job.job_id))["rows"], (await shop.job(job.job_id))["status"]) == (3, "running")
    shop.start()
    await shop.run_all()
    assert (await shop.job(job.job_id))["status"] == "loaded_with_rejects"


async def test_a_loader_that_was_asked_to_stop_is_not_ready_while_it_still_ends_what_is_under_way(
    shop: Shop,
) -> None:
    stop, entered, released = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def end_slowly() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            await released.wait()

    async def problems() -> dict[str, str]:
        return (await shop.app.health.ready()).problems

    start_meddling(shop, 2, end_slowly)
    async with shop.app.running():
        working = asyncio.create_task(shop.app.work(stop))
        await shop.send(shop.claim("users.csv", USERS))
        await asyncio.wait_for(entered.wait(), DEADLINE_S)
        assert await problems() == {}
        stop.set()
        assert await eventually(problems, DEADLINE_S) == {"process": "The process is stopping."}
        assert not working.done()
        released.set()
        await asyncio.wait_for(working, DEADLINE_S)


async def test_a_database_that_restarts_under_way_costs_nothing(shop: Shop) -> None:
    stop = asyncio.Event()
    job = shop.claim("users.csv", USERS)

    async def restart() -> None:
        shop.database.server.stop()
        shop.database.server.start()

    start_meddling(shop, 2, restart)
    async with shop.app.running():
        working = asyncio.create_task(shop.app.work(stop))
        await shop.send(job)
        await eventually(lambda: shop.files()["processed"] == ["users.csv"], DEADLINE_S)
        stop.set()
        await asyncio.wait_for(working, DEADLINE_S)
    await shop.conn.close()
    shop.conn = await shop.app.connect()
    ended = await shop.job(job.job_id)
    assert (ended["status"], ended["rows"], ended["loaded"], ended["rejected"]) == (
        "loaded_with_rejects",
        7,
        5,
        2,
    )


async def test_a_record_that_is_no_job_is_kept_and_holds_up_nothing(shop: Shop) -> None:
    good = shop.claim("users.csv", HEADER)
    odd = replace(good, job_id=JOB_IDS[0], stored_name="passwd")
    await shop.queue(odd, good)
    await shop.run_all()
    (kept,) = await shop.rows("SELECT entity, reason FROM shop.quarantine")
    assert (kept["entity"], kept["reason"]) == ("file", "invalid_record")
    assert (await shop.job(good.job_id))["status"] == "loaded"


async def test_a_full_disk_is_waited_for_and_then_the_file_ends_as_it_should(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = shop.claim("users.csv", USERS)
    await shop.queue(job)

    def no_space(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        with pytest.raises(Exception, match="No space left"):
            await shop.run_all()
    assert (await shop.job(job.job_id))["status"] == "running"
    await shop.run_all()
    assert (await shop.job(job.job_id))["status"] == "loaded_with_rejects"
    assert shop.files()["invalid"] == ["users.csv.rejects.csv"]


async def test_another_file_under_a_job_that_is_over_is_not_put_away_as_if_it_had_been_loaded(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """An Idempotency-Key that is used again once retention has removed the first file; the same bytes are no matter."""
    job = await shop.load("users.csv", USERS)
    for path in shop.folders.processed.iterdir():
        path.unlink()

    shop.claim("users.csv", USERS, job_id=job["job_id"])
    await shop.app.tidy.once()
    assert (shop.files()["processed"], shop.files()["error"]) == (["users.csv"], [])
    for path in shop.folders.processed.iterdir():
        path.unlink()

    shop.claim("users.csv", USERS + b"9,New,new@example.org,2024-01-05\n", job_id=job["job_id"])
    await shop.app.tidy.once()
    assert (shop.files()["processed"], shop.files()["error"], shop.files()["work"]) == ([], ["users.csv"], [])
    assert "ALARM: a file came under a job that is over" in capsys.readouterr().out
