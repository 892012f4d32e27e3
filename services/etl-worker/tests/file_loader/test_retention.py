"""Old files are removed where a setting says so, and then only what is certainly ours, over, settled and old."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, override
from uuid import UUID, uuid4

import pytest

from etl_worker.file_loader import retention
from etl_worker.file_loader.app import App
from tillstream.clock import SystemClock
from tillstream.contracts.ids import new_id
from tillstream.folders import REASON_SUFFIX

from .conftest import Shop

pytestmark = pytest.mark.integration

USERS = b"user_id,name,email,signup_date\n1,Ann,ann@example.org,2024-01-05\n"
BAD_USERS = b"user_id,name,email,signup_date\n1,Ann,nobody,2024-01-05\n"
BAD_HEADER = b"user_id,nom\n1,Ann\n"
ORDERS = b"order_id,user_id,order_date,status,total_amount\n1,9,2024-02-01,paid,5.00\n"
ALL = {"processed_keep_days": 10, "error_keep_days": 10, "invalid_keep_days": 10}
DAY = timedelta(days=1)


class LaterClock(SystemClock):
    """So many days ahead; whoever asks for the time of a file's change compares it with this."""

    def __init__(self, days: float = 0) -> None:
        self.days = days

    @override
    def now(self) -> datetime:
        return super().now() + self.days * DAY

    @override
    def monotonic(self) -> float:
        return super().monotonic() + self.days * DAY.total_seconds()


@pytest.fixture
def clock() -> LaterClock:
    return LaterClock()


def start(shop: Shop, clock: LaterClock, **keep: int) -> App:
    return shop.start(replace(shop.ports(), clock=clock), **keep)


async def grow_old(shop: Shop, clock: LaterClock, days: float) -> None:
    """Both clocks go on."""
    clock.days += days
    await shop.conn.execute(
        "UPDATE shop.file_jobs SET finished_at = finished_at - %(by)s, settled_at = settled_at - %(by)s",
        {"by": days * DAY},
    )
    await shop.conn.execute("UPDATE shop.quarantine SET received_at = received_at - %s", [days * DAY])


async def load_some(shop: Shop) -> None:
    """A good file with a meta file, one with rejects, one that fails, a text, one that was refused unopened."""
    good = await shop.load("users.csv", USERS)
    meta = f"{good['job_id']}__users.csv.meta.json"
    (shop.folders.processed / meta).write_bytes(b"{}")
    bad = await shop.load("bad.csv", BAD_USERS)
    (shop.folders.invalid / f"{bad['job_id']}__bad.csv.edited-2.csv").write_bytes(b"mine")
    failed = await shop.load("failed.csv", BAD_HEADER)
    (shop.folders.processed / f"{failed['job_id']}__failed.csv.meta.json").write_bytes(b"{}")
    await shop.load("notes.txt", b"one\n")
    refused = replace(shop.claim("odd.csv", b"odd"), refusal="refused_unopened: odd")
    lies = (shop.folders.work / refused.stored_name).rename(shop.folders.error / refused.stored_name)
    lies.with_name(f"{lies.name}{REASON_SUFFIX}").write_bytes(b"odd")
    shop.folders.sidecar(refused.job_id).unlink()
    await shop.queue(refused)


EVERYTHING = {
    "processed": ["bad.csv", "failed.csv.meta.json", "notes.txt", "users.csv", "users.csv.meta.json"],
    "error": ["failed.csv", "odd.csv", "odd.csv.reason.txt"],
    "invalid": ["bad.csv.edited-2.csv", "bad.csv.rejects.csv"],
}


def kept(shop: Shop) -> dict[str, list[str]]:
    return {name: files for name, files in shop.files().items() if name in EVERYTHING}


async def test_nothing_is_removed_unless_a_setting_says_so(shop: Shop, clock: LaterClock) -> None:
    start(shop, clock)
    await load_some(shop)
    await grow_old(shop, clock, 9_999)
    await shop.app.tidy.once()
    assert kept(shop) == EVERYTHING


async def test_files_go_when_their_time_is_over_and_not_before(shop: Shop, clock: LaterClock) -> None:
    start(shop, clock, **ALL)
    await load_some(shop)
    await grow_old(shop, clock, 9.9)
    await shop.app.tidy.once()
    assert kept(shop) == EVERYTHING
    await grow_old(shop, clock, 0.2)
    await shop.app.tidy.once()
    assert kept(shop) == {"processed": [], "error": [], "invalid": []}
    value = shop.app.metrics.registry.get_sample_value
    removed = [value("tillstream_files_removed_total", {"folder": name}) for name in EVERYTHING]
    assert removed == [len(names) for names in EVERYTHING.values()]


@pytest.mark.parametrize(
    ("setting", "gone"),
    [
        ("processed_keep_days", {"processed": ["failed.csv.meta.json"]}),
        (
            "error_keep_days",
            {"processed": ["bad.csv", "notes.txt", "users.csv", "users.csv.meta.json"], "error": []},
        ),
        ("invalid_keep_days", {"invalid": []}),
    ],
)
async def test_each_folder_has_a_time_of_its_own_and_a_meta_file_goes_with_its_file(
    shop: Shop, clock: LaterClock, setting: str, gone: dict[str, list[str]]
) -> None:
    start(shop, clock, **{setting: 10})
    await load_some(shop)
    await grow_old(shop, clock, 11)
    await shop.app.tidy.once()
    assert kept(shop) == EVERYTHING | gone


async def test_the_time_of_the_last_write_counts_for_nothing(shop: Shop, clock: LaterClock) -> None:
    """A partner's file may have been written years before it was dropped."""
    start(shop, clock, **ALL)
    job = shop.claim("users.csv", USERS)
    os.utime(shop.folders.work / job.stored_name, (1, 1))
    await shop.queue(job)
    await shop.run_all()
    await grow_old(shop, clock, 11)
    clock.days = 9
    await shop.app.tidy.once()
    assert shop.files()["processed"] == ["users.csv"]


@pytest.mark.parametrize("which", ["database", "files"])
async def test_one_clock_alone_removes_nothing(shop: Shop, clock: LaterClock, which: str) -> None:
    start(shop, clock, **ALL)
    await load_some(shop)
    await grow_old(shop, clock, 11)
    if which == "database":
        clock.days = 1
    else:
        await grow_old(shop, clock, -11)
        clock.days = 11
    await shop.app.tidy.once()
    assert kept(shop) == EVERYTHING


async def test_a_job_that_is_not_over_or_not_settled_keeps_its_files(shop: Shop, clock: LaterClock) -> None:
    start(shop, clock, **ALL)
    waiting = await shop.load("orders.csv", ORDERS)
    running = await shop.load("users.csv", USERS)
    late = await shop.load("bad.csv", BAD_USERS)
    await grow_old(shop, clock, 11)
    assert (await shop.job(waiting["job_id"]))["settled_at"] is None
    await shop.conn.execute(
        "UPDATE shop.file_jobs SET status = 'running' WHERE job_id = %s", [running["job_id"]]
    )
    await shop.conn.execute(
        "UPDATE shop.file_jobs SET late_rejects = 1, parked = 1, rows = rows + 1, settled_at = NULL WHERE job_id = %s",
        [late["job_id"]],
    )
    await shop.app.tidy.once()
    assert kept(shop) == {
        "processed": ["bad.csv", "orders.csv", "users.csv"],
        "error": [],
        "invalid": ["bad.csv.rejects.csv"],
    }


async def test_a_rejects_file_stays_for_its_time_from_its_newest_open_entry_on(
    shop: Shop, clock: LaterClock
) -> None:
    start(shop, clock, **ALL)
    await shop.load("bad.csv", BAD_USERS)
    await grow_old(shop, clock, 11)
    await shop.conn.execute("UPDATE shop.quarantine SET received_at = now() - interval '9 days'")
    await shop.app.tidy.once()
    assert (shop.files()["processed"], shop.files()["invalid"]) == ([], ["bad.csv.rejects.csv"])
    await grow_old(shop, clock, 2)
    await shop.app.tidy.once()
    assert shop.files()["invalid"] == []
    assert len(await shop.rows("SELECT 1 AS one FROM shop.quarantine WHERE resolved_at IS NULL")) == 1


async def test_what_is_not_certainly_ours_stays(shop: Shop, clock: LaterClock, tmp_path: Path) -> None:
    start(shop, clock, **ALL)
    job = await shop.load("users.csv", USERS)
    job_id = job["job_id"]
    outside = tmp_path / "outside.csv"
    outside.write_bytes(b"precious")
    processed, invalid = shop.folders.processed, shop.folders.invalid
    ours = processed / f"{job_id}__users.csv"
    strangers = [
        processed / "report.csv",
        processed / f"{new_id()}__users.csv",
        processed / f"{job_id}__other.csv",
        processed / f"{job_id}__users.csv.bak",
        processed / f"{str(job_id).upper()}__users.csv",
        shop.folders.error / f"{uuid4()}__refused.csv",
        shop.folders.error / f"{job_id}__users.csv",
        invalid / f"{job_id}__users.csv",
        invalid / f"{job_id}__users.csv.edited-x.csv",
        shop.folders.output / f"{job_id}__users.csv",
        shop.folders.input / f"{job_id}__users.csv",
    ]
    for path in strangers:
        path.write_bytes(b"not ours")
    link, folder = processed / f"{job_id}__users.csv.meta.json", invalid / f"{job_id}__users.csv.rejects.csv"
    link.symlink_to(outside)
    folder.mkdir()
    await grow_old(shop, clock, 11)
    await shop.app.tidy.once()
    await shop.app.tidy.once()
    assert not ours.exists()
    assert [path for path in strangers if not path.exists()] == []
    assert (link.is_symlink(), folder.is_dir(), outside.read_bytes()) == (True, True, b"precious")


async def test_a_folder_that_is_a_link_is_not_looked_into_and_stops_nothing(
    shop: Shop, clock: LaterClock, tmp_path: Path
) -> None:
    start(shop, clock, **ALL)
    await load_some(shop)
    elsewhere = tmp_path / "elsewhere"
    shop.folders.processed.rename(elsewhere)
    shop.folders.processed.symlink_to(elsewhere)
    await grow_old(shop, clock, 11)
    await shop.app.tidy.once()
    assert kept(shop) == {"processed": EVERYTHING["processed"], "error": [], "invalid": []}
    failed = shop.app.metrics.registry.get_sample_value(
        "tillstream_file_removals_failed_total", {"folder": "processed"}
    )
    assert failed == 1


async def test_a_file_that_cannot_be_removed_stops_neither_the_others_nor_the_loader(
    shop: Shop, clock: LaterClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(shop, clock, **ALL)
    await load_some(shop)
    await grow_old(shop, clock, 11)
    unlink = os.unlink

    def stubborn(path: Any, **more: Any) -> None:
        if str(path).endswith("__users.csv"):
            raise PermissionError(1, "Operation not permitted")
        unlink(path, **more)

    with monkeypatch.context() as broken:
        broken.setattr(os, "unlink", stubborn)
        await shop.app.tidy.once()
    assert kept(shop) == {"processed": ["users.csv", "users.csv.meta.json"], "error": [], "invalid": []}
    assert shop.app.health.dependency("folders").problem is None
    assert (await shop.load("more.txt", b"one\n"))["status"] == "archived"


async def test_a_pass_is_bounded_and_the_next_one_goes_on_past_what_must_stay(
    shop: Shop, clock: LaterClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "NAMES_PER_PASS", 2)
    start(shop, clock, **ALL)
    for number in range(3):
        (shop.folders.processed / f"{UUID(int=number)}__foreign.txt").write_bytes(b"")
    for number in range(3):
        await shop.load(f"{number}.txt", b"one\n")
    await grow_old(shop, clock, 11)
    left = []
    for _ in range(4):
        await shop.app.tidy.once()
        left.append(len(list(shop.folders.processed.iterdir())))
    assert left == [6, 5, 3, 3]
    await shop.load("late.txt", b"one\n")
    await grow_old(shop, clock, 11)
    await shop.app.tidy.once()
    await shop.app.tidy.once()
    assert shop.files()["processed"] == ["foreign.txt"] * 3


async def test_a_file_that_is_put_away_late_has_its_whole_time(shop: Shop, clock: LaterClock) -> None:
    """The loader may have been down for days between the end of the job and the move."""
    start(shop, clock, **ALL)
    job = await shop.load("users.csv", USERS)
    path = shop.folders.processed / f"{job['job_id']}__users.csv"
    path.rename(shop.folders.work / path.name)
    await grow_old(shop, clock, 11)
    clock.days = 0  # the file is moved now, and its ctime cannot be set
    await shop.app.tidy.once()
    assert path.exists()
    clock.days = 11
    await shop.app.tidy.once()
    assert not path.exists()
