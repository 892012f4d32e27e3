"""Fixtures: folders for servers, outside pytest's own, which other users may not enter."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tillstream_native.leash import fasten

ENTERABLE = 0o711


@pytest.fixture(scope="session")
def server_place() -> Iterator[Path]:
    """A folder for this test process; when the process is killed, a leash ends the servers in it and deletes it."""
    place = Path(tempfile.mkdtemp(prefix="tillstream-test-"))
    place.chmod(ENTERABLE)
    leash = fasten(os.getpid(), place)
    yield place
    shutil.rmtree(place)
    leash.wait()
