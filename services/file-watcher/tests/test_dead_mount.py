"""A process whose disk never answers: it says so, and ends when it is asked to."""

import asyncio
import sys
from pathlib import Path

import pytest

from file_watcher.disk_thread import TOLD_AFTER_S
from tillstream.observe.serve import EXIT_CLEAN

pytestmark = pytest.mark.fault

DEADLINE_S = 20.0
HANGING = Path(__file__).with_name("hanging_watcher.py")


@pytest.mark.parametrize("when", ["start", "scan"])
async def test_a_process_whose_disk_hangs_says_so_and_ends_when_asked(tmp_path: Path, when: str) -> None:
    """It hangs in a system call, of which no signal can free a thread of Python."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HANGING), str(tmp_path), when), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    async with asyncio.timeout(DEADLINE_S + TOLD_AFTER_S):
        while not any(b"ALARM: the folders do not answer." in line for line in lines):
            lines.append(await process.stdout.readline())
            assert lines[-1], lines
        process.terminate()
        lines += (await process.communicate())[0].splitlines()
    assert process.returncode == EXIT_CLEAN
    assert any(b"the next start finishes what was begun" in line for line in lines)
