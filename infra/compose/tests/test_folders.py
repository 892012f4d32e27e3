"""`folders.py`, which runs as root before everything else: what others put below the data folder neither stops nor leads it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[3] / "infra" / "images" / "folders.py"
WITHIN_S = 30
NAME_BYTES = 200
PATH_BYTES = 4096


def open_folders(data: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, "-I", SCRIPT, data]
    return subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)


def rights_of(folder: int | Path) -> tuple[int, bytes | None]:
    lists = "system.posix_acl_access"
    mode = os.stat(folder).st_mode  # noqa: PTH116 - a handle too
    return mode, os.getxattr(folder, lists) if lists in os.listxattr(folder) else None


def make_deep(top: Path) -> int:
    """Folders in each other until the path of the last is longer than a path may be; that one, held open."""
    handle = os.open(top, os.O_RDONLY)
    for _ in range(PATH_BYTES // NAME_BYTES + 1):
        os.mkdir("d" * NAME_BYTES, dir_fd=handle)
        below = os.open("d" * NAME_BYTES, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    return handle


def test_folders_too_deep_for_a_path_do_not_keep_the_system_from_starting(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    deepest = make_deep(tmp_path / "input")
    try:
        before = rights_of(deepest)
        done = open_folders(tmp_path)
        assert done.returncode == 0, done.stderr
        assert rights_of(deepest) != before
    finally:
        os.close(deepest)


def test_a_link_to_another_folder_opens_nothing(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "partner").symlink_to(other)
    before = rights_of(other)

    done = open_folders(tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert rights_of(other) == before
