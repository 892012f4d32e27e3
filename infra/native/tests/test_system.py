"""What the machine offers, and where PostgreSQL's user may go."""

from pathlib import Path

import pytest

from tillstream_native.system import SystemUser, can_enter, open_to_all

pytestmark = pytest.mark.unit

STRANGER = SystemUser("stranger", 54_321, 54_321)


def test_stranger_enters_an_open_path_only(server_place: Path) -> None:
    closed, inside = server_place / "closed", server_place / "closed" / "inside"
    inside.mkdir(parents=True)
    for folder in (closed, inside):
        folder.chmod(0o711)
    assert can_enter(STRANGER, inside)
    closed.chmod(0o700)
    assert not can_enter(STRANGER, inside)
    assert not can_enter(STRANGER, closed / "not" / "yet" / "there")


def test_nobody_is_kept_out_when_the_servers_run_as_ourselves(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert can_enter(None, tmp_path)


def test_copied_programs_can_be_read_and_run_by_all(tmp_path: Path) -> None:
    program, text = tmp_path / "bin" / "program", tmp_path / "text"
    program.parent.mkdir(mode=0o700)
    program.touch(mode=0o700)
    text.touch(mode=0o600)
    open_to_all(tmp_path)
    modes = [path.stat().st_mode & 0o777 for path in (program.parent, program, text)]
    assert modes == [0o755, 0o755, 0o644]
