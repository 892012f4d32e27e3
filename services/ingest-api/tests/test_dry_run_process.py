"""Files that a real process examines: it serves others meanwhile, and whatever ends it, no process and no file stays."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from tillstream.folders import Folders
from tillstream.observe.serve import STOP_LIMIT_S
from tillstream.testing.waiting import eventually

from .processes import HOST, WITHIN_S, Door, started

pytestmark = pytest.mark.unit

MEBIBYTE = 1024 * 1024
DRY = "&dry_run=true"
# Of a file that takes some seconds to examine, and of one that takes far longer than anybody here waits.
SOME_ROWS = 100_000
MANY_ROWS = 2_000_000
# Other requests meanwhile, one after the other: the examination takes as long as hundreds of them.
SERVED = 10
# What is cut short may take: a part of what the examination takes.
CUT_SHORT_S = 8.0


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    folders.create()
    return folders


def users(count: int) -> bytes:
    rows = (b"%d,Ann,ann%d@example.org,2024-01-05\n" % (n, n) for n in range(1, count + 1))
    return b"user_id,name,email,signup_date\n" + b"".join(rows)


@pytest.fixture(scope="module")
def large() -> bytes:
    return users(MANY_ROWS)


def request(body: bytes) -> bytes:
    head = f"POST /ingest/files?name=users.csv{DRY} HTTP/1.1\r\nHost: door\r\nContent-Type: text/csv\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def names(folders: Folders) -> list[str]:
    return [str(path) for path in folders.root.rglob("*") if path.is_file()]


async def examining(door: Door, size: int = 0) -> int:
    """The process that examines, once it has read so much."""
    await eventually(door.children)
    (child,) = door.children()
    await eventually(lambda: read_by(child) > size)
    return child


def read_by(process: int) -> int:
    (line,) = re.findall(r"^rchar: ([0-9]+)$", Path(f"/proc/{process}/io").read_text(), re.MULTILINE)
    return int(line)


def has_ended(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


async def test_others_are_served_while_a_file_is_examined(folders: Folders) -> None:
    async with started(folders) as door:
        door.client.timeout = 3 * WITHIN_S  # the examination comes after all others who want the processor
        asked = asyncio.create_task(door.send(users(SOME_ROWS), query=DRY))
        await examining(door)
        served = 0
        while not asked.done():
            assert (await door.client.get("/health")).status_code == 503  # there is no broker
            served += 1
        said = asked.result().json()
        assert (said["verdict"], said["rows"]) == ("loaded", SOME_ROWS)
        assert served > SERVED  # were it examined on their loop, hardly any
        assert door.children() == []
    assert names(folders) == []


async def test_a_client_that_leaves_ends_the_examination(folders: Folders, large: bytes) -> None:
    async with started(folders) as door:
        _, writer = await asyncio.open_connection(HOST, door.port)
        writer.write(request(large))
        child = await examining(door, len(large))
        writer.close()
        await eventually(lambda: has_ended(child) and not door.children(), within_s=CUT_SHORT_S)
        assert (await door.send(b"user_id\n", query=DRY)).status_code == 200
    assert names(folders) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_an_examination_ends_with_its_door(folders: Folders, large: bytes, how: signal.Signals) -> None:
    """Killed, at once; asked to stop, when it has given its requests their time."""
    async with started(folders) as door:
        _, writer = await asyncio.open_connection(HOST, door.port)
        writer.write(request(large))
        child = await examining(door, len(large))
        door.process.send_signal(how)
        async with asyncio.timeout(STOP_LIMIT_S + CUT_SHORT_S):
            await door.process.wait()
        await eventually(lambda: has_ended(child), within_s=CUT_SHORT_S)
        writer.close()
    assert names(folders) == []


async def test_a_door_that_stops_answers_first(folders: Folders) -> None:
    async with started(folders) as door:
        asked = asyncio.create_task(door.send(users(SOME_ROWS // 10), query=DRY))
        await examining(door)
        door.process.send_signal(signal.SIGTERM)
        assert (await asked).json()["rows"] == SOME_ROWS // 10


async def test_a_killed_examination_is_said(folders: Folders, large: bytes) -> None:
    async with started(folders) as door:
        asked = asyncio.create_task(door.send(large, query=DRY))
        os.kill(await examining(door, len(large)), signal.SIGKILL)
        answer = await asked
        assert (answer.status_code, bool(answer.headers["retry-after"])) == (503, True)
        assert (await door.send(b"user_id\n", query=DRY)).status_code == 200


async def test_a_file_for_which_there_is_no_space_is_not_examined(folders: Folders) -> None:
    async with started(folders, "prlimit", f"--fsize={MEBIBYTE}") as door:
        answer = await door.send(b"x" * (MEBIBYTE + 1), query=DRY)
        assert (answer.status_code, bool(answer.headers["retry-after"])) == (507, True)
        assert (await door.send(b"x" * MEBIBYTE, query=DRY)).status_code == 200
    assert names(folders) == []
