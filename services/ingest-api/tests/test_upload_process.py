"""Files that are sent to a real process: slow clients, full disks, crashes, and how much memory a large file takes."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest_api.app import build
from ingest_api.policy import UploadPolicy
from ingest_api.settings import IngestSettings
from ingest_api.upload_folder import PARTIAL_SUFFIX
from tillstream.clock import SystemClock
from tillstream.folders import Folders
from tillstream.kafka.memory import MemoryBroker, MemoryProducer
from tillstream.testing.waiting import eventually

from .processes import HOST, WITHIN_S, started

pytestmark = pytest.mark.unit

MEBIBYTE = 1024 * 1024
FEW_BYTES = 2 * MEBIBYTE
LARGE_BYTES = 96 * MEBIBYTE
# What a process may grow by while LARGE_BYTES pass through it: a few pieces, and what the allocator keeps.
GROWTH_BYTES = 24 * MEBIBYTE
HEAD = b"POST /ingest/files?name=users.csv HTTP/1.1\r\nHost: door\r\nContent-Type: text/csv\r\n"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    folders.create()
    return folders


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_large_file_takes_no_more_memory_than_a_small_one(folders: Folders) -> None:
    async def body() -> AsyncIterator[bytes]:
        piece = b"x" * MEBIBYTE
        for _ in range(LARGE_BYTES // MEBIBYTE):
            yield piece

    async with started(folders) as door:
        assert (await door.send(b"x" * FEW_BYTES)).status_code == 202
        before = door.peak_bytes()
        answer = await door.send(body())
        assert answer.status_code == 202, answer.text
        assert door.peak_bytes() - before < GROWTH_BYTES
    stored = folders.work / f"{answer.json()['job_id']}__users.csv"
    assert stored.stat().st_size == LARGE_BYTES


async def test_a_file_for_which_there_is_no_space_is_refused_and_removed(folders: Folders) -> None:
    async with started(folders, "prlimit", f"--fsize={FEW_BYTES}") as door:
        answer = await door.send(b"x" * (FEW_BYTES + 1))
        assert (answer.status_code, bool(answer.headers["retry-after"])) == (507, True)
        assert names(folders.work) == []
        assert (await door.send(b"x" * FEW_BYTES)).status_code == 202


async def test_a_killed_door_leaves_a_dotfile_which_the_next_one_removes(folders: Folders) -> None:
    async with started(folders) as door:
        _, writer = await asyncio.open_connection(HOST, door.port)
        writer.write(HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * FEW_BYTES)

        def half_written() -> bool:
            return any(path.stat().st_size for path in folders.work.iterdir())

        await eventually(half_written)
        door.process.send_signal(signal.SIGKILL)
        await door.process.wait()
        writer.close()
    (left,) = names(folders.work)
    assert (left[0], left.endswith(PARTIAL_SUFFIX)) == (".", True)
    assert Folders(folders.root).claimed() == {}
    async with started(folders):
        assert names(folders.work) == []


@asynccontextmanager
async def impatient(folders: Folders) -> AsyncIterator[int]:
    """The port of a door that waits a short time for a client."""
    settings = IngestSettings(ingest_port=0, ops_port=0, data_dir=folders.root)
    upload = UploadPolicy(pause_s=0.3, bytes_per_s=1_000)
    app = build(settings, producer=MemoryProducer(MemoryBroker(SystemClock())), upload=upload)
    async with app.running():
        yield app.web.port


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, object]]:
    async with asyncio.timeout(WITHIN_S):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_a_body_that_pauses_is_refused_and_removed(folders: Folders) -> None:
    async with impatient(folders) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * FEW_BYTES)
        status, told = await answer_of(reader)
        writer.close()
    assert (status, "paused" in str(told["detail"])) == (408, True)
    assert names(folders.work) == []


async def test_a_body_that_trickles_is_refused_and_removed(folders: Folders) -> None:
    async with impatient(folders) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(HEAD + b"Content-Length: 10000000\r\n\r\n")
        answered = asyncio.create_task(answer_of(reader))
        # The bytes come every tenth of the time that a pause may take, and far more slowly than they must.
        while not answered.done():
            writer.write(b"x")
            await asyncio.wait({answered}, timeout=0.03)
        writer.close()
    assert answered.result()[0] == 408
    assert names(folders.work) == []


async def test_a_steady_body_may_take_longer_than_a_pause(folders: Folders) -> None:
    async with impatient(folders) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        parts = 20
        writer.write(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (parts * 1_000))
        answered = asyncio.create_task(answer_of(reader))
        for _ in range(parts):
            writer.write(b"x" * 1_000)
            await asyncio.wait({answered}, timeout=0.05)
        status, told = await answered
        writer.close()
    assert (status, told["bytes"]) == (202, parts * 1_000)


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(folders: Folders) -> None:
    async with impatient(folders) as port:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * FEW_BYTES)
        await eventually(lambda: names(folders.work))
        writer.close()
        await eventually(lambda: not names(folders.work))
