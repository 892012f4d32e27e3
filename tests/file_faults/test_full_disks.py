"""Full disks: under the folders, for a claim, a rejects file and an upload, and under the tables, in the middle of a file.

Whoever meets one waits, and everything ends as it should once there is room. Small disks need the right to mount.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from faults.disks import Disks
from file_faults.dropped import Dropped, packed, users
from file_faults.end_state import check_end
from file_faults.roots.steps import STOP
from file_faults.yard import Yard, open_yard
from support.kafka import KafkaServer
from support.postgres import TEMPLATE, Database, migrate, run_postgres
from tillstream.testing.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.timeout(200)]

FILES = (Dropped("users.csv", users(1)), Dropped("packed.csv.gz", packed(users(101))))
SCAN_FAILED, JOBS_WAIT, NO_SPACE = "A scan failed", "File jobs wait.", "No space left"


@pytest.fixture
def disks() -> Iterator[Disks]:
    disks = Disks()
    yield disks
    disks.unmount()


@pytest.fixture
async def small_yard(
    disks: Disks, server_place: Path, tmp_path: Path, database: Database, kafka_server: KafkaServer
) -> AsyncIterator[Yard]:
    """Its data directory is a disk of its own."""
    data = tmp_path / "data"
    data.mkdir()
    disks.mount("data", data)
    place = Path(mkdtemp(prefix="yard-", dir=server_place))
    yard = await open_yard(place, data, database, kafka_server.bootstrap)
    yield yard
    await yard.close()


async def said(yard: Yard, name: str, *words: str) -> None:
    """The process has said all of it in one line."""
    log = yard.place / f"{name}.log"
    await eventually(
        lambda: any(all(word in line for word in words) for line in log.read_text().splitlines())
    )


async def test_a_claim_waits_for_room(small_yard: Yard, disks: Disks) -> None:
    small_yard.start("loader")
    for each in FILES:
        small_yard.drop(each.name, each.content)
    disks.fill("data")
    small_yard.start("watcher")
    await said(small_yard, "watcher-1", SCAN_FAILED, NO_SPACE)
    disks.widen("data")
    await check_end(small_yard, FILES)


@pytest.mark.parametrize("file", FILES, ids=["plain", "packed"])
async def test_a_rejects_file_waits_for_room(small_yard: Yard, disks: Disks, file: Dropped) -> None:
    small_yard.start("watcher")
    small_yard.start("loader")
    small_yard.order("loader-1", STOP, f"rejects_file.1 {file.name}")
    small_yard.drop(file.name, file.content)
    async with small_yard.held("loader-1"):
        disks.fill("data")
    await said(small_yard, "loader-1", JOBS_WAIT, NO_SPACE)
    disks.widen("data")
    await check_end(small_yard, [file])


async def test_an_upload_for_which_there_is_no_room_is_taken_under_its_key_when_there_is(
    small_yard: Yard, disks: Disks
) -> None:
    for part in ("watcher", "loader", "door"):
        small_yard.start(part)
    await small_yard.send("first.csv", users(201), "first")
    await small_yard.over(1)
    disks.fill("data")
    sending = [asyncio.create_task(small_yard.send(each.name, each.content, each.name)) for each in FILES]
    await said(small_yard, "door-1", "with 507")
    disks.widen("data")
    await asyncio.gather(*sending)
    await check_end(small_yard, [Dropped("first.csv", users(201)), *FILES])


@pytest.fixture
def small_database(disks: Disks, server_place: Path) -> Iterator[Database]:
    """A migrated one in a cluster of its own, on a disk of its own."""
    place = Path(mkdtemp(prefix="small-", dir=server_place))
    place.chmod(0o711)
    (place / "postgres").mkdir()
    disks.mount("postgres", place / "postgres")
    for server in run_postgres(place):
        migrate(server, TEMPLATE)
        yield Database(server, TEMPLATE)


@pytest.mark.parametrize("file", FILES, ids=["plain", "packed"])
async def test_a_chunk_waits_for_room_under_the_tables(
    small_database: Database,
    disks: Disks,
    server_place: Path,
    tmp_path: Path,
    kafka_server: KafkaServer,
    file: Dropped,
) -> None:
    place = Path(mkdtemp(prefix="yard-", dir=server_place))
    yard = await open_yard(place, tmp_path / "data", small_database, kafka_server.bootstrap)
    try:
        yard.start("watcher")
        yard.start("loader")
        yard.order("loader-1", STOP, f"apply.2 {file.name}")
        yard.drop(file.name, file.content)
        async with yard.held("loader-1"):
            disks.fill("postgres")
        await said(yard, "loader-1", JOBS_WAIT, '"dependency":"postgres"')
        disks.widen("postgres")
        await check_end(yard, [file])
    finally:
        await yard.close()
