"""`folders.py`, which runs as root before everything else: what others put below the data folder neither stops nor leads it."""

import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[3] / "infra" / "images" / "folders.py"
WITHIN_S = 30
NAME_BYTES = 200
PATH_BYTES = 4096
OWNER, USER, GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
NOBODY = 0xFFFFFFFF
PARTNER_UID, SERVICES_UID = 4711, 10001
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def open_folders(data: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, "-I", SCRIPT, data]
    return subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)


def rights_of(folder: int | Path) -> tuple[int, bytes | None]:
    mode = os.stat(folder).st_mode  # noqa: PTH116 - a handle too
    return mode, os.getxattr(folder, ACCESS) if ACCESS in os.listxattr(folder) else None


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


def let_in(folder: Path, user: int) -> None:
    """As `setfacl -m u:USER:rwx -m d:u:USER:rwx` does it."""
    entries = [
        (OWNER, 7, NOBODY),
        (USER, 7, user),
        (GROUP, 5, NOBODY),
        (MASK, 7, NOBODY),
        (OTHERS, 0, NOBODY),
    ]
    written = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    for attribute in (ACCESS, DEFAULT):
        os.setxattr(folder, attribute, written)


def entries_of(folder: Path, attribute: str) -> dict[tuple[int, int], int]:
    written = os.getxattr(folder, attribute)
    return {(tag, who): rights for tag, rights, who in struct.iter_unpack("<HHI", written[4:])}


def test_whom_somebody_let_in_by_hand_stays_let_in(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir(mode=0o750)
    let_in(tmp_path / "input", PARTNER_UID)
    for _ in range(2):
        assert open_folders(tmp_path).returncode == 0
    for attribute in (ACCESS, DEFAULT):
        found = entries_of(tmp_path / "input", attribute)
        assert (found[USER, PARTNER_UID], found[USER, SERVICES_UID], found[OTHERS, NOBODY]) == (7, 7, 0)


def test_a_second_time_changes_nothing_and_opens_nothing_to_others(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir(mode=0o700)
    open_folders(tmp_path)
    first = [entries_of(tmp_path / "input", attribute) for attribute in (ACCESS, DEFAULT)]
    open_folders(tmp_path)
    assert [entries_of(tmp_path / "input", attribute) for attribute in (ACCESS, DEFAULT)] == first
    assert all((found[GROUP, NOBODY], found[OTHERS, NOBODY]) == (0, 0) for found in first)


def test_a_folder_from_which_only_owners_may_move_files_is_one_no_more(tmp_path: Path) -> None:
    sticky = tmp_path / "input" / "sftp"
    sticky.mkdir(parents=True)
    sticky.chmod(0o1777)
    assert open_folders(tmp_path).returncode == 0
    mode = sticky.stat().st_mode
    assert not mode & stat.S_ISVTX
    assert mode & 0o007 == 0o007
