"""Every claimed file's job reaches the topic, whatever stops and starts, and it is the same job every time."""

import asyncio
import os
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from file_watcher.emit import LISTING_SHARE, ORPHAN_AFTER_S
from tillstream.folders import Folders, stored_name
from tillstream.testing.waiting import eventually

from .conftest import STABLE_S, Bench

pytestmark = pytest.mark.unit

DEADLINE_S = 10.0
AGAIN_S = 30.0
JOB_ID = UUID("0190f7a8-7a5c-7cc3-98e4-3f1f2f1c6a11")


async def test_a_job_says_all_about_its_file(bench: Bench) -> None:
    bench.drop("acme/orders.csv", b"12345")
    await bench.scan_until_stable()
    assert await bench.app.emitter.emit_all()
    (job,) = bench.sent()
    assert (job.file_name, job.source, job.bytes, job.kind) == ("orders.csv", "acme", 5, None)
    assert job.claimed_at == bench.clock.now()
    assert job.stored_name == stored_name(job.job_id, "orders.csv")
    assert (bench.folders.work / job.stored_name).read_bytes() == b"12345"


async def test_what_was_acknowledged_is_not_sent_again_before_its_time(bench: Bench) -> None:
    bench.drop("a.csv")
    await bench.scan_until_stable()
    await bench.app.emitter.emit_new()
    bench.drop("b.csv")
    await bench.scan_until_stable()
    await bench.app.emitter.emit_new()
    assert [job.file_name for job in bench.sent()] == ["a.csv", "b.csv"]


async def test_a_new_process_sends_the_very_same_job(bench: Bench) -> None:
    bench.drop("a.csv")
    await bench.scan_until_stable()
    await bench.app.emitter.emit_all()
    bench.clock.move(3_600)
    await bench.start().emitter.emit_all()
    first, second = bench.sent()
    assert first == second


async def test_a_broker_that_is_down_is_told_later(bench: Bench) -> None:
    bench.broker.up = False
    bench.drop("a.csv")
    assert await bench.scan_until_stable() == 1
    assert not await bench.app.emitter.emit_all()
    assert not (await bench.app.health.ready()).ok
    bench.broker.up = True
    bench.clock.move(5)  # longer than readiness remembers an answer
    assert await bench.app.emitter.emit_new()
    assert (await bench.app.health.ready()).ok
    assert [job.file_name for job in bench.sent()] == ["a.csv"]


async def test_a_file_that_was_moved_away_is_not_sent_any_more(bench: Bench) -> None:
    bench.drop("a.csv")
    await bench.scan_until_stable()
    (name,) = bench.folders.claimed().values()
    (bench.folders.work / name).rename(bench.folders.processed / name)
    assert await bench.app.emitter.emit_all()
    assert bench.sent() == []


async def test_a_crash_between_job_and_rename_leaves_the_file_to_be_claimed(bench: Bench) -> None:
    bench.folders.sidecar(JOB_ID).write_bytes(b"{}")
    bench.drop("a.csv")
    await bench.scan_until_stable()
    await bench.app.emitter.emit_all()
    assert [job.file_name for job in bench.sent()] == ["a.csv"]


async def test_jobs_without_a_file_are_removed_after_a_while(bench: Bench) -> None:
    sidecar = bench.folders.sidecar(JOB_ID)
    sidecar.write_bytes(b"{}")
    os.utime(sidecar, (bench.clock.now().timestamp(),) * 2)
    await bench.app.emitter.emit_all()
    assert sidecar.exists()
    bench.clock.move(ORPHAN_AFTER_S + 1)
    await bench.app.emitter.emit_all()
    assert not sidecar.exists()


async def test_the_beginning_of_a_job_that_a_crash_cut_short_is_removed_after_a_while(bench: Bench) -> None:
    beginning = bench.folders.work / f".{JOB_ID}.json.tmp"
    beginning.write_bytes(b"{")
    os.utime(beginning, (bench.clock.now().timestamp(),) * 2)
    await bench.app.emitter.emit_all()
    assert beginning.exists()
    bench.clock.move(ORPHAN_AFTER_S + 1)
    await bench.app.emitter.emit_all()
    assert not beginning.exists()


async def test_a_file_without_its_job_raises_one_alarm_and_holds_up_no_other(bench: Bench) -> None:
    (bench.folders.work / stored_name(JOB_ID, "odd.csv")).write_bytes(b"x")
    bench.drop("a.csv")
    await bench.scan_until_stable()
    with capture_logs() as logs:
        for _ in range(3):
            assert await bench.app.emitter.emit_all()
    assert [job.file_name for job in bench.sent()] == ["a.csv"] * 3
    assert len([each for each in logs if each["event"].startswith("ALARM")]) == 1


async def test_the_more_files_wait_for_the_loader_the_seldomer_they_are_told_again(bench: Bench) -> None:
    """At a hundred a second the loader can also read what is new."""
    seconds = 60
    bench.drop("a.csv")
    await bench.scan_until_stable()
    (job_id,) = bench.folders.claimed()
    value = bench.folders.sidecar(job_id).read_bytes()
    for number in range(100 * seconds - 1):
        other = UUID(int=number)
        (bench.folders.work / stored_name(other, "x.csv")).touch()
        bench.folders.sidecar(other).write_bytes(value)
    files = 100 * seconds
    running = asyncio.create_task(bench.app.emitter.run())
    await eventually(lambda: len(bench.sent()) >= files)
    bench.clock.move(seconds - 2 * STABLE_S)
    bench.drop("late.csv")
    await bench.scan_until_stable()
    await eventually(lambda: len(bench.sent()) > files)
    assert len(bench.sent()) == files + 1
    bench.clock.move(2 * STABLE_S)
    bench.drop("later.csv")
    await bench.scan_until_stable()
    await eventually(lambda: len(bench.sent()) > 2 * files)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_folder_that_takes_long_to_list_is_listed_less_often_and_new_files_are_told_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.app.watch.scan_once()  # the first one looks once itself at what is claimed
    listings: list[int] = []
    true = Folders.claimed

    def slowly(folders: Folders) -> dict[UUID, str]:
        listings.append(1)
        bench.clock.move(AGAIN_S)
        return true(folders)

    monkeypatch.setattr(Folders, "claimed", slowly)
    running = asyncio.create_task(bench.app.emitter.run())
    await eventually(lambda: len(listings) == 1)
    bench.clock.move(2 * AGAIN_S)
    bench.drop("a.csv")
    await bench.scan_until_stable()
    await eventually(lambda: len(bench.sent()) == 1)
    assert len(listings) == 1
    bench.clock.move(LISTING_SHARE * AGAIN_S)
    bench.drop("b.csv")
    await bench.scan_until_stable()
    await eventually(lambda: len(bench.sent()) == 3)
    assert len(listings) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_many_jobs_are_sent_in_pieces(bench: Bench) -> None:
    for number in range(1_001):
        name = stored_name(UUID(int=number), "x.csv")
        (bench.folders.work / name).touch()
    template = bench.drop("a.csv")
    await bench.scan_until_stable()
    (job,) = [job_id for job_id in bench.folders.claimed() if job_id.int > 1_000]
    value = bench.folders.sidecar(job).read_bytes()
    for number in range(1_001):
        bench.folders.sidecar(UUID(int=number)).write_bytes(value)
    assert not template.exists()
    assert await bench.app.emitter.emit_all()
    assert len(bench.sent()) == 1_002


async def test_the_running_service_takes_a_file_and_stops_when_asked(bench: Bench) -> None:
    stop = asyncio.Event()
    async with bench.app.running():
        working = asyncio.create_task(bench.app.work(stop))
        bench.drop("a.csv")

        def is_sent() -> bool:
            bench.clock.move(STABLE_S)
            return bool(bench.sent())

        await eventually(is_sent)
        stop.set()
        await asyncio.wait_for(working, DEADLINE_S)
    assert list(bench.claimed()) == ["a.csv"]


async def test_a_hint_wakes_a_watcher_that_scans_seldom(bench: Bench) -> None:
    stop = asyncio.Event()
    async with bench.app.running():
        scans = bench.app.metrics.last_success_timestamp_seconds.labels("scan")
        working = asyncio.create_task(bench.app.work(stop))
        await eventually(lambda: scans._value.get() > 0)
        bench.drop("a.csv")

        def is_claimed() -> bool:
            bench.clock.move(STABLE_S)
            return bool(bench.folders.claimed())

        await eventually(is_claimed)
        stop.set()
        await asyncio.wait_for(working, DEADLINE_S)
