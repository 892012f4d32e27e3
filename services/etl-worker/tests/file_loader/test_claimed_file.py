"""A claimed file on a slow disk."""

import asyncio
import io
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, override

import pytest

from etl_worker.file_loader import claimed_file
from etl_worker.file_loader.claimed_file import ClaimedFile
from etl_worker.file_loader.failures import DiskUnavailable
from tillstream.errors import FileRefused
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.unit

DEADLINE_S = 5.0


class SlowDisk(io.FileIO):
    """Answers a read when it is told to, or after a deadline."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.was_told = False

    @override
    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        self.asked.set()
        self.was_told = self.may_answer.wait(DEADLINE_S)
        return super().readinto(buffer)


async def survey(file: ClaimedFile) -> object:
    return await file.survey(lambda: None, as_it_is=False)


async def count_lines(file: ClaimedFile) -> object:
    return await file.count_lines(lambda: None)


@pytest.mark.parametrize("reading", [survey, count_lines])
async def test_who_else_is_on_the_loop_goes_on_while_the_disk_is_read(
    tmp_path: Path, reading: Callable[[ClaimedFile], Coroutine[Any, Any, object]]
) -> None:
    path = tmp_path / "big.csv"
    path.write_bytes(b"a line\n")
    disk = SlowDisk(path)
    with ClaimedFile(io.BufferedReader(disk)) as file:
        async with asyncio.TaskGroup() as tasks:
            read = tasks.create_task(reading(file))
            await eventually(disk.asked.is_set)
            disk.may_answer.set()
        assert read.result()
    assert disk.was_told


def test_a_file_that_may_not_be_read_is_refused_and_a_folder_that_may_not_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the system's word and not by its permissions, which root may pass over."""

    def denied(path: Path) -> io.BufferedReader:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(claimed_file, "open_regular", denied)
    with pytest.raises(FileRefused, match="not_readable: "):
        ClaimedFile.open(tmp_path / "users.csv")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DiskUnavailable):
        ClaimedFile.open(tmp_path / "users.csv")
