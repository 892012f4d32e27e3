"""The end that every fault must leave: each file in exactly one place with its bytes, statements that add up, and the right tables."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection

from file_faults.dropped import SIDES, Dropped, Expected
from file_faults.yard import WITHIN_S, Yard
from tillstream.folders import JOINT, REJECTS_SUFFIX

SIDE_OF = {"stored": "loaded", "unchanged": "unchanged", "superseded": "superseded"}
CHANGES = "SELECT outcome, count(*) FROM shop.changes GROUP BY outcome"
QUARANTINE = """
SELECT job.file_name, kept.line FROM shop.quarantine AS kept JOIN shop.file_jobs AS job USING (job_id)
WHERE resolved_at IS NULL
"""


async def check_end(yard: Yard, files: Sequence[Dropped], within_s: float = WITHIN_S) -> list[dict[str, Any]]:
    """Waits until all is over. `files` in the order of their claims; returns their jobs."""
    jobs = await yard.over(len(files), within_s)
    expected = Expected.of(files)
    check_places(yard, files)
    check_statements(files, jobs, expected)
    check_rejects(yard, jobs, expected)
    await check_tables(yard, expected)
    return jobs


def check_places(yard: Yard, files: Sequence[Dropped]) -> None:
    """Each file lies in one place only, where it belongs, and nothing else lies about."""
    wanted = Counter((each.folder, each.name, each.sha256) for each in files if each.folder)
    assert Counter(yard.lying()) == wanted


def check_statements(files: Sequence[Dropped], jobs: Sequence[dict[str, Any]], expected: Expected) -> None:
    for job in jobs:
        assert job["rows"] == sum(job[side] for side in SIDES), job
    found = [(job["file_name"], job["status"], Counter(_sides(job))) for job in jobs]
    assert sorted(map(repr, found)) == sorted(map(repr, expected.statements))
    hashes = Counter((job["file_name"], job["sha256"]) for job in jobs if job["status"] != "failed")
    assert hashes == Counter((each.name, each.sha256) for each in files if each.status != "failed")


def _sides(job: dict[str, Any]) -> dict[str, int]:
    return {side: job[side] for side in SIDES if job[side]}


def check_rejects(yard: Yard, jobs: Sequence[dict[str, Any]], expected: Expected) -> None:
    """Of each job with refused rows there is a file that tells of each of them, and there is no other one."""
    names = {f"{job['job_id']}{JOINT}{job['file_name']}{REJECTS_SUFFIX}" for job in jobs}
    assert {path.name for path in yard.folders.invalid.iterdir()} <= names, "a rejects file of no job"
    found = [each for path in yard.folders.invalid.iterdir() for each in refused_in(path)]
    assert sorted(found) == sorted(expected.rejected)


def check_rejects_so_far(yard: Yard, files: Sequence[Dropped]) -> None:
    """At any moment: a rejects file that has its name is whole, since whoever waits for it takes it at once."""
    rejected = Expected.of(files).rejected
    for path in yard.folders.invalid.glob(f"*{REJECTS_SUFFIX}"):
        name = _name(path)
        assert refused_in(path) == [each for each in rejected if each[0] == name], f"{path.name} is not whole"


def refused_in(path: Path) -> list[tuple[str, int]]:
    """The name of the file that was dropped, and the line, of each row of a rejects file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [(_name(path), int(row["line"])) for row in csv.DictReader(file)]


def _name(path: Path) -> str:
    return path.name.partition(JOINT)[2].removesuffix(REJECTS_SUFFIX)


async def check_tables(yard: Yard, expected: Expected) -> None:
    """The rows, one change for each that was counted, and every refused row in quarantine."""
    async with await AsyncConnection.connect(yard.database.superuser_dsn) as conn:
        users = await (await conn.execute("SELECT user_id, name, email FROM shop.users")).fetchall()
        changes = await (await conn.execute(CHANGES)).fetchall()
        kept = await (await conn.execute(QUARANTINE)).fetchall()
    assert {user_id: values for user_id, *values in users} == {
        user_id: list(values) for user_id, values in expected.table.items()
    }
    counted = sum((sides for _, _, sides in expected.statements), Counter[str]())
    stored = Counter({SIDE_OF[outcome]: count for outcome, count in changes if outcome in SIDE_OF})
    assert stored == Counter({side: counted[side] for side in SIDE_OF.values() if counted[side]})
    assert sorted(kept) == sorted(expected.rejected)
