"""A rejects file that is dropped back is linked to the jobs in which its rows were refused, whatever becomes of them."""

from typing import Any
from uuid import UUID

import pytest

from tillstream.contracts.files import FileJob

from .conftest import CHUNK_ROWS, Shop
from .crashes import Crash, Tripwire, wire_up

pytestmark = pytest.mark.integration

HEADER = b"user_id,name,email,signup_date\n"
EVENTS = b"user_id,event_type,event_timestamp\n"
# Two files of a chunk each.
BAD = [
    HEADER + b"".join(b"%d,N,bad%d,2024-01-05\n" % (n, n) for n in range(first, first + CHUNK_ROWS))
    for first in (1, 11)
]
JOB_IDS = [UUID(int=number) for number in (1, 2, 3)]


async def links(shop: Shop) -> set[tuple[UUID, UUID]]:
    """Pairs of a job and one that it corrects."""
    return {
        (row["job_id"], row["corrects"]) for row in await shop.rows("SELECT * FROM shop.file_job_corrections")
    }


async def refused(shop: Shop, first_id: int, **claim: Any) -> dict[str, Any]:
    rows = b"".join(b"%d,N,bad,2024-01-05\n" % n for n in (first_id, first_id + 1))
    return await shop.load("users.csv", HEADER + rows, **claim)


def fixed(shop: Shop, job: dict[str, Any], address: bytes = b"u%s@example.org") -> bytes:
    """The job's rejects with an address of its own in every row."""
    header, *lines = shop.rejects(job).splitlines(keepends=True)
    return header + b"".join(
        line.replace(
            b",bad,", b"," + address.replace(b"%s", b"%d-%d" % (job["job_id"].int % 1_000_000, n)) + b","
        )
        for n, line in enumerate(lines)
    )


async def test_a_corrected_file_is_linked_to_the_job_that_it_corrects(shop: Shop) -> None:
    first = await refused(shop, 1)
    other = await refused(shop, 11)
    again = await shop.load("fixed.csv", fixed(shop, first))
    assert (again["status"], again["loaded"]) == ("loaded", 2)
    assert await links(shop) == {(again["job_id"], first["job_id"])}
    assert other["job_id"] not in {job for pair in await links(shop) for job in pair}


async def test_rejects_of_several_jobs_in_one_file_are_linked_to_all_of_them(shop: Shop) -> None:
    first, second = await refused(shop, 1), await refused(shop, 11, source="acme")
    pasted = fixed(shop, first) + b"".join(fixed(shop, second).splitlines(keepends=True)[1:])
    again = await shop.load("fixed.csv", pasted)
    assert again["loaded"] == 4
    assert await links(shop) == {
        (again["job_id"], first["job_id"]),
        (again["job_id"], second["job_id"]),
    }


async def test_rows_that_are_refused_as_before_link_their_job_to_the_first_and_the_next_one_to_theirs(
    shop: Shop,
) -> None:
    first = await refused(shop, 1)
    unchanged = await shop.load("again.csv", shop.rejects(first) + b"\r\n")
    assert unchanged["rejected"] == 2
    assert await links(shop) == {(unchanged["job_id"], first["job_id"])}
    last = await shop.load("fixed.csv", fixed(shop, unchanged))
    assert last["loaded"] == 2
    assert await links(shop) == {
        (unchanged["job_id"], first["job_id"]),
        (last["job_id"], unchanged["job_id"]),
    }


async def test_rows_that_are_refused_for_another_fault_are_the_rejects_of_the_job_that_brought_it(
    shop: Shop,
) -> None:
    first = await refused(shop, 1)
    worse = await shop.load("worse.csv", fixed(shop, first, b"nobody"))
    assert worse["rejected"] == 2
    last = await shop.load("fixed.csv", shop.rejects(worse).replace(b"nobody", b"u@example.org", 1))
    assert (last["loaded"], last["rejected"]) == (1, 1)
    assert await links(shop) == {
        (worse["job_id"], first["job_id"]),
        (last["job_id"], worse["job_id"]),
    }


async def test_an_event_that_gets_another_id_by_its_correction_is_linked_too(shop: Shop) -> None:
    await shop.load("users.csv", HEADER + b"1,Ann,ann@example.org,2024-01-05\n")
    first = await shop.load("events.csv", EVENTS + b"1,page_vew,2024-02-01T10:00:00Z\n")
    again = await shop.load("fixed.csv", shop.rejects(first).replace(b"page_vew", b"page_view"))
    assert again["loaded"] == 1
    assert await links(shop) == {(again["job_id"], first["job_id"])}


async def test_an_invented_identity_and_a_new_export_of_a_refused_row_correct_nothing(shop: Shop) -> None:
    content = b"event_id,user_id,event_type,event_timestamp\nown-1,1,page_veiw,2024-05-05\n"
    first = await shop.load("events.csv", content)
    await shop.load("events.csv", content)
    version = shop.rejects(first).splitlines()[1].split(b",")[-5]
    await shop.load("forged.csv", shop.rejects(first).replace(version, b"v" + b"f" * 80))
    assert await links(shop) == set()


async def run_with_crash(shop: Shop, dies_at: int) -> str | None:
    """Load two files of which all is refused and the corrected rejects of both, a chunk each; die once at a step of that."""
    shop.claims = 0
    firsts = [
        await shop.load("users.csv", content, job_id=job_id)
        for content, job_id in zip(BAD, JOB_IDS, strict=False)
    ]
    pasted = shop.rejects(firsts[0]) + b"".join(shop.rejects(firsts[1]).splitlines(keepends=True)[1:])
    again = shop.claim("fixed.csv", pasted.replace(b",bad", b",u@mended.example-"), job_id=JOB_IDS[2])
    await shop.crash()
    shop.start(wire_up(shop.ports(), Tripwire(dies_at)))
    died = await run_to_the_end(shop, again)
    await shop.crash()
    shop.start()
    return died


async def run_to_the_end(shop: Shop, job: FileJob) -> str | None:
    died = None
    for _ in range(2):
        try:
            await shop.queue(job)
            await shop.run_all()
            break
        except Crash as crash:
            died = str(crash)
            await shop.crash()
            shop.start()
    return died


async def test_a_crash_at_any_step_of_a_correction_leaves_its_link_whole(shop: Shop) -> None:
    wanted = await run_with_crash(shop, dies_at=0)
    assert wanted is None
    died: list[str] = []
    while True:
        expected = {(JOB_IDS[2], JOB_IDS[0]), (JOB_IDS[2], JOB_IDS[1])}
        assert await links(shop) == expected, f"after a crash at step {len(died)}: {died[-1:]}"
        job = await shop.job(JOB_IDS[2])
        assert (job["status"], job["loaded"], job["duplicate"]) == ("loaded", 2 * CHUNK_ROWS, 0)
        await shop.empty()
        step = await run_with_crash(shop, dies_at=len(died) + 1)
        if step is None:
            break
        died.append(step)
    assert {"refused_in", "link", "apply", "advance", "commit"} <= set(died)
