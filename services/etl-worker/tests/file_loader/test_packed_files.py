"""Gzip'd files load as what they hold, from where a crash left them; broken ones, bombs and archives load nothing."""

import gzip
import hashlib
import io
import zipfile
from dataclasses import replace

import pytest

from etl_worker.file_loader.desk import Desk
from tillstream.csv.packed import Bounds

from .conftest import Shop
from .crashes import Crash, Tripwire, wire_up

pytestmark = pytest.mark.integration

HEADER = b"user_id,name,email,signup_date\n"
COUNT = 10  # four chunks


def users(count: int = COUNT, first: int = 1) -> bytes:
    numbers = range(first, first + count)
    return HEADER + b"".join(b"%d,Ann,ann%d@example.org,2024-01-05\n" % (each, each) for each in numbers)


async def loaded(shop: Shop) -> list[int]:
    return [row["user_id"] for row in await shop.rows("SELECT user_id FROM shop.users ORDER BY user_id")]


async def test_a_packed_file_loads_as_what_it_holds(shop: Shop) -> None:
    packed = gzip.compress(users() + b"11,Bob,bob,2024-01-05\n")
    job = await shop.load("users.csv.gz", packed)
    assert (job["status"], job["kind"], job["rows"], job["loaded"], job["rejected"]) == (
        *("loaded_with_rejects", "user"),
        *(COUNT + 1, COUNT, 1),
    )
    assert (job["bytes"], job["sha256"]) == (len(packed), hashlib.sha256(packed).hexdigest())
    assert await loaded(shop) == list(range(1, COUNT + 1))
    assert shop.files()["processed"] == ["users.csv.gz"]
    assert shop.files()["invalid"] == ["users.csv.gz.rejects.csv"]
    assert f"\n{COUNT + 2},".encode() in shop.rejects(job)


async def test_the_first_bytes_decide_and_not_the_name(shop: Shop) -> None:
    assert (await shop.load("users.csv", gzip.compress(users(3))))["loaded"] == 3
    assert (await shop.load("users.csv.gz", users(3, first=4)))["loaded"] == 3


async def test_a_crash_in_a_packed_file_is_taken_up_after_the_last_chunk(shop: Shop) -> None:
    for dies_at in range(1, 100):
        await shop.empty()
        shop.start(wire_up(shop.ports(), Tripwire(dies_at)))
        job = shop.claim("users.csv.gz", gzip.compress(users()))
        died = False
        for _ in range(2):
            try:
                await shop.queue(job)
                await shop.run_all()
                break
            except Crash:
                died = True
                await shop.crash()
                shop.start()
        await shop.crash()
        row = await shop.job(job.job_id)
        assert (row["status"], row["rows"], row["loaded"]) == ("loaded", COUNT, COUNT)
        assert row["next_byte"] == row["dialect"]["text_bytes"] == len(users())
        assert await loaded(shop) == list(range(1, COUNT + 1))
        if not died:
            break
    assert not died
    assert dies_at > COUNT


@pytest.mark.parametrize("damage", ["cut", "checksum", "rest"])
async def test_a_broken_one_loads_nothing(shop: Shop, damage: str) -> None:
    packed = gzip.compress(users(10_000))
    broken = {"cut": packed[:-100], "checksum": packed[:-8] + bytes(8), "rest": packed + b"rest"}[damage]
    job = await shop.load("users.csv.gz", broken)
    assert (job["status"], job["rows"]) == ("failed", 0)
    assert job["error"].startswith("broken_gzip: ")
    assert await loaded(shop) == []
    assert shop.files()["error"] == ["users.csv.gz"]


async def test_one_beyond_its_bounds_loads_nothing(shop: Shop) -> None:
    ports = shop.ports()
    shop.start(replace(ports, desk=Desk(shop.folders, Bounds(max_text_bytes=len(users()) - 1))))
    job = await shop.load("users.csv.gz", gzip.compress(users()))
    assert (job["status"], job["rows"]) == ("failed", 0)
    assert job["error"].startswith("unpacked_too_large: ")
    assert await loaded(shop) == []


@pytest.mark.parametrize("name", ["users.zip", "users.csv", "users"])
async def test_an_archive_fails_with_a_sentence(shop: Shop, name: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("users.csv", users())
    job = await shop.load(name, out.getvalue())
    assert job["status"] == "failed"
    assert job["error"].startswith("archive_refused: it is a zip archive")
    assert shop.files()["error"] == [name]


async def test_packed_text_is_archived_and_its_lines_are_counted(shop: Shop) -> None:
    for name in ("notes.txt.gz", "notes.gz"):
        job = await shop.load(name, gzip.compress(b"one\ntwo\nthree"))
        assert (job["status"], job["rows"]) == ("archived", 3)
