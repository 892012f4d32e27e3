"""Files are opened, written and moved so that neither a crash nor a stranger's link can do harm."""

import os
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.file_names import name_problem
from tillstream.errors import FileRefused
from tillstream.folders import durable_file, job_id_of, move, open_regular, stored_name

pytestmark = pytest.mark.unit

JOB_ID = UUID("0190163d-8694-7394-8a1c-1d2d3b2c5aff")


@given(st.uuids(), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_a_stored_name_tells_its_job(job_id: UUID, file_name: str) -> None:
    assert job_id_of(stored_name(job_id, file_name)) == job_id


@pytest.mark.parametrize(
    "name",
    ["", "orders.csv", f"{JOB_ID}", f"{JOB_ID}__", f"{JOB_ID}.json", f"{str(JOB_ID).upper()}__x", "x__y"],
)
def test_other_names_tell_none(name: str) -> None:
    assert job_id_of(name) is None


@pytest.mark.parametrize("name", ["orders.csv", "año 2024 (1).csv", "é" * 100, "-rf", "😀.csv"])
def test_ordinary_names_are_taken(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b.csv", "a\nb", "a\0", "\x7f", "\udce9", "é" * 101, "a\u202eb"]
)
def test_names_that_could_fool_somebody_are_not(name: str) -> None:
    assert name_problem(name) is not None


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with durable_file(path) as file:
        file.write(b"first")
        assert not path.exists()

    def write_half() -> None:
        with durable_file(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("x.csv", b"first")]


def test_a_move_never_replaces(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"a")
    target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        move(source, target)
    assert source.read_bytes() == b"a"


def test_a_regular_file_with_one_name_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    with open_regular(path) as file:
        assert file.read() == b"content"


def test_links_pipes_folders_and_files_with_two_names_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    (tmp_path / "soft").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("soft", "pipe", "folder"):
        with pytest.raises(FileRefused, match="not_a_regular_file"):
            open_regular(tmp_path / name)
    (tmp_path / "hard").hardlink_to(path)
    with pytest.raises(FileRefused, match="2 names"):
        open_regular(path)


def test_a_file_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "gone")
