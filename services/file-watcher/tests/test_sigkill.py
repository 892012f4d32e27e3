"""Whenever a watcher is killed, the next one brings the file to the same end."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.fault

SCRIPT = Path(__file__).with_name("killed_at_each_step.py")
WITHIN_S = 100.0
# The steps that the claim is made of: the job is begun, there, the file is taken, its marker gone, the job sent.
LABELS = (".json.tmp", "os.rename", "work/", "os.remove", "journal.sent")
# Those of a refusal: its reason, its job, the move, the job sent and forgotten.
OF_A_REFUSAL = (".reason.txt", ".refused.tmp", "error/", "journal.sent", "os.remove")


async def reports(root: Path, name: str = "orders.csv", *meta: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), str(root), name, *meta),
        env={"PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(WITHIN_S):
        assert await process.wait() == 0
    return [json.loads(line) for line in (root / "reports").read_text().splitlines()]


async def test_sigkill_at_each_step_ends_in_the_same_state(tmp_path: Path) -> None:
    found = await reports(tmp_path)
    steps = [each["killed_before"] for each in found]
    assert steps[-1] is None
    assert [label for label in LABELS if not any(label in step for step in steps[:-1])] == []
    for step, each in zip(steps, found, strict=True):
        jobs = {json.dumps(json.loads(line), sort_keys=True) for line in each["sent"]}
        assert len(jobs) == 1, step
        job = json.loads(jobs.pop())
        assert (job["file_name"], job["source"]) == ("orders.csv", "acme"), step
        kept = {name: text for name, text in each["files"].items() if not name.endswith(".json")}
        assert kept == {f"work/{job['stored_name']}": "content"}, step
        sidecars = [name for name in each["files"] if name.endswith(".json")]
        assert sidecars == [f"work/{job['job_id']}.json"], step


async def test_sigkill_at_each_step_leaves_nothing_that_was_said_about_a_file_for_the_next_one(
    tmp_path: Path,
) -> None:
    meta = '{"as_of": "2024-01-31"}'
    found = await reports(tmp_path, "orders.csv", meta)
    steps = [each["killed_before"] for each in found]
    assert steps[-1] is None
    assert any("os.rename" in step and "meta.json" in step for step in steps[:-1])
    for step, each in zip(steps, found, strict=True):
        jobs = {json.dumps(json.loads(line), sort_keys=True) for line in each["sent"]}
        assert len(jobs) == 1, step
        job = json.loads(jobs.pop())
        assert job["as_of"].startswith("2024-01-31"), step
        told = {name for name, text in each["files"].items() if text == meta}
        assert told == {f"processed/{job['stored_name']}.meta.json"}, step


async def test_sigkill_at_each_step_of_a_refusal_leaves_one_file_with_its_reason_and_one_failed_job(
    tmp_path: Path,
) -> None:
    found = await reports(tmp_path, "odd\nname.csv")
    steps = [each["killed_before"] for each in found]
    assert steps[-1] is None
    assert [label for label in OF_A_REFUSAL if not any(label in step for step in steps[:-1])] == []
    for step, each in zip(steps, found, strict=True):
        jobs = {json.dumps(json.loads(line), sort_keys=True) for line in each["sent"]}
        assert len(jobs) == 1, step
        job = json.loads(jobs.pop())
        assert (job["file_name"], job["source"]) == ("odd_name.csv", "acme"), step
        assert job["refusal"].startswith("refused_unopened: its name has a control character"), step
        files = {name: text for name, text in each["files"].items() if text == "content"}
        assert files == {f"error/{job['stored_name']}": "content"}, step
        assert f"error/{job['stored_name']}.reason.txt" in each["files"], step
        assert not [name for name in each["files"] if name.startswith("work/")], step
