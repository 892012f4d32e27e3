"""What the commands say when nothing runs, and what they never do unasked."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tillstream_native.__main__ import main
from tillstream_native.commands import parser
from tillstream_native.credentials import load_passwords, write_urls
from tillstream_native.places import MARKS, MAX_OFFSET, NAMES, PROMETHEUS, REPOSITORY, Places, Ports
from tillstream_native.postgres import Cluster

pytestmark = pytest.mark.unit


def run(monkeypatch: pytest.MonkeyPatch, state: Path, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["tillstream_native", "--state", str(state), *arguments])
    return main()


def stopped_state(tmp_path: Path) -> Path:
    """A state as a stack leaves it that was taken down."""
    places = Places(tmp_path / "state", tmp_path)
    places.create()
    (places.inbox / "users.csv").write_text("dropped")
    return places.state


def test_status_without_a_stack_lists_every_part_as_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path / "none", "status", "--format", "json") == 0
    parts = json.loads(capsys.readouterr().out)
    assert [part["name"] for part in parts] == list(NAMES)
    assert {(part["pid"], part["state"]) for part in parts} == {(None, "stopped")}
    assert {part["name"]: part["ports"] for part in parts}["ingest-api"] == [8001, 9101]


def test_status_table_has_a_line_per_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path / "none", "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(NAMES)


def test_port_offset_moves_every_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path / "none", "--port-offset", "100", "status", "--format", "json") == 0
    ports = [port for part in json.loads(capsys.readouterr().out) for port in part["ports"]]
    assert ports == [54420, 9192, 9193, 8101, 9201, 9203, 9205, 8102, 9202, 9204]


@pytest.mark.parametrize("offset", [0, MAX_OFFSET])
def test_every_port_of_an_offset_that_is_taken_is_a_port(offset: int) -> None:
    ports = Ports(offset)
    assert (
        max(port for name in (*NAMES, PROMETHEUS) for port in ports.of(name)) == 65_535 - MAX_OFFSET + offset
    )


@pytest.mark.parametrize("command", ["up", "status"])
@pytest.mark.parametrize("offset", ["-1", str(MAX_OFFSET + 1)])
def test_an_offset_that_leaves_no_ports_is_one_sentence_and_makes_nothing(
    offset: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, tmp_path / "none", f"--port-offset={offset}", command) == 1
    said = f"PORT_OFFSET must be from 0 to 11215, not {offset}: no port lies above 65535.\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "none").exists()


def test_stopping_nothing_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, tmp_path / "none", "down") == 0
    assert not (tmp_path / "none").exists()


def test_logs_without_a_stack_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path / "none", "logs") == 1
    assert capsys.readouterr().err == f"There are no logs under {tmp_path}/none/logs yet.\n"


@pytest.mark.parametrize(
    ("answer", "kept"), [("", True), ("n\n", True), ("yes please\n", True), ("y\n", False)]
)
def test_state_is_deleted_after_a_clear_yes_only(
    answer: str,
    kept: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = stopped_state(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert run(monkeypatch, state, "clean") == 0
    assert state.exists() is kept


def test_force_deletes_without_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = stopped_state(tmp_path)
    assert run(monkeypatch, state, "clean", "--force") == 0
    assert not state.exists()
    assert run(monkeypatch, state, "clean", "--force") == 0


@pytest.mark.parametrize("inside", ["thesis.txt", "data/users.csv", "run/pid"])
def test_folder_that_is_no_state_is_never_deleted(
    inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "mine" / inside
    kept.parent.mkdir(parents=True)
    kept.write_text("kept")
    assert run(monkeypatch, tmp_path / "mine", "clean", "--force") == 1
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [kept]
    said = capsys.readouterr().err
    assert said == f"{tmp_path}/mine is no state of a stack, so nothing in it is deleted.\n"


def test_deletion_that_was_cut_short_can_be_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    (state / "older").mkdir(parents=True)
    stopped_state(tmp_path)
    (
        state / "newer"
    ).mkdir()  # a folder is listed by age, either way round: the marks must not be the last by chance
    deleted: list[str] = []
    monkeypatch.setattr(shutil, "rmtree", lambda folder: deleted.append(folder.name))
    with pytest.raises(OSError, match="not empty"):
        Places(state, tmp_path).delete()
    assert set(deleted[-2:]) == MARKS


def test_stack_is_not_made_among_things_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("kept")
    assert run(monkeypatch, tmp_path, "up") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]
    assert "holds things that are no stack's" in capsys.readouterr().err


def test_tool_is_told_where_the_stack_is(tmp_path: Path) -> None:
    tell = "import os, sys; print(*sys.argv[1:], *(os.environ[each] for each in ('STATE', 'PORT_OFFSET', 'TILLSTREAM_INGEST_URL')))"
    tool = ("run", sys.executable, "-c", tell, "--state", "of the tool")
    command = [
        sys.executable,
        "-m",
        "tillstream_native",
        "--state",
        str(tmp_path),
        "--port-offset",
        "100",
        *tool,
    ]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said == f"--state of the tool {tmp_path} 100 http://127.0.0.1:8101\n"


def test_nothing_to_run_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, "run") == 1
    assert capsys.readouterr().err == "There is nothing to run: name a command.\n"


@pytest.mark.parametrize(
    ("target", "tool"),
    [
        ("demo", "run tillstream demo --rate 7"),
        ("quarantine", "run tillstream quarantine --rate 7"),
        ("partitions", "run tillstream partitions --rate 7"),
        ("figures", "run python bench/figures.py"),
    ],
)
def test_make_lets_the_tools_find_the_stack(target: str, tool: str) -> None:
    command = ["make", "--dry-run", "-C", str(REPOSITORY), target, "ARGS=--rate 7"]
    planned = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"python -m tillstream_native {tool}\n" in planned


def test_variables_given_to_make_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STATE": "/elsewhere", "PORT_OFFSET": "10", "FORMAT": "json"}.items():
        monkeypatch.setenv(name, value)
    arguments = parser().parse_args(["status"])
    assert (arguments.state, arguments.port_offset, arguments.format) == (Path("/elsewhere"), 10, "json")


def test_secrets_are_random_kept_and_closed_to_others(tmp_path: Path) -> None:
    first = load_passwords(tmp_path)
    assert load_passwords(tmp_path) == first
    assert len(set(first.values())) == len(first)
    write_urls(tmp_path, Cluster(tmp_path, tmp_path, 1, first))
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_up_warns_of_a_misspelt_setting_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TILLSTREAM_FILE_PARALEL", "2")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "holiday.jpg").touch()
    assert run(monkeypatch, tmp_path / "taken", "up") == 1
    assert "is TILLSTREAM_FILE_PARALLEL meant?" in capsys.readouterr().out
