"""Fixtures: the processes through which files go, on a database, a folder and a topic that are empty."""

from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import run
from tempfile import mkdtemp

import pytest

from file_faults.yard import Yard, open_yard
from support.kafka import KafkaServer
from support.postgres import Database

pytest.register_assert_rewrite("file_faults.end_state")
MOUNT = ("unshare", "--mount", "mount", "-t", "tmpfs", "probe", "/mnt")  # gone with the namespace
# A disk can be filled only by who may mount a small one; elsewhere these tests do not exist.
collect_ignore = (
    [] if run(MOUNT, capture_output=True, check=False).returncode == 0 else ["test_full_disks.py"]
)


@pytest.fixture
async def yard(
    server_place: Path, tmp_path: Path, database: Database, kafka_server: KafkaServer
) -> AsyncIterator[Yard]:
    place = Path(mkdtemp(prefix="yard-", dir=server_place))
    yard = await open_yard(place, tmp_path / "data", database, kafka_server.bootstrap)
    yield yard
    await yard.close()
