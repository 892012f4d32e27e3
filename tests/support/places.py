"""Fixtures: folders for servers, outside pytest's own, which other users may not enter."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tillstream_native.leash import end_all, fasten

ENTERABLE = 0o711


@pytest.fixture(scope="session")
def server_place() -> Iterator[Path]:
    """A folder for this test process; its servers end with it, and by a leash when this process is killed."""
    place = Path(tempfile.mkdtemp(prefix="tillstream-test-"))
    place.chmod(ENTERABLE)
    leash = fasten(os.getpid(), place)
    yield place
    end_all(place)  # an interrupted start may have left one
    leash.wait()
