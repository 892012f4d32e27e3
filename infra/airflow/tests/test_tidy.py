"""What is deleted of Airflow's logs and what is kept, and what a round says when something is in the way."""

import importlib.util
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.unit

SCRIPT = Path(__file__).parents[1] / "tidy.py"
START = SCRIPT.with_name("start.sh")
NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=90)
WITHIN_S = 20


def load() -> ModuleType:
    """A script that stands where a container looks for it, not in a package."""
    spec = importlib.util.spec_from_file_location("airflow_tidy", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TIDY = load()


def grow_old(path: Path, days: float) -> None:
    """It was last changed so many days ago; a link itself, not what it leads to."""
    changed_s = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (changed_s, changed_s), follow_symlinks=False)


def log(folder: Path, run: str, days: float) -> Path:
    """The log of a task of a run which ended so many days ago, and nothing has touched its folders since."""
    path = folder / "dag_id=d" / f"run_id={run}" / "task_id=t" / "attempt=1.log"
    path.parent.mkdir(parents=True)
    path.write_text("what happened")
    for each in (path, path.parent, path.parent.parent):
        grow_old(each, days)
    return path


def test_old_logs_go_with_their_folders_and_younger_ones_stay(tmp_path: Path) -> None:
    old, young = log(tmp_path, "old", 91), log(tmp_path, "young", 89)

    assert TIDY.delete_logs(tmp_path, BEFORE) == (1, len("what happened"))

    assert not old.parent.parent.exists()
    assert young.read_text() == "what happened"


def test_a_file_that_is_still_written_keeps_its_old_folder(tmp_path: Path) -> None:
    path = log(tmp_path, "long", 91)
    grow_old(path, 1)

    assert TIDY.delete_logs(tmp_path, BEFORE) == (0, 0)

    assert path.exists()


def test_a_folder_in_which_a_task_is_about_to_write_stays(tmp_path: Path) -> None:
    folder = log(tmp_path, "begun", 91).parent
    grow_old(folder, 0)

    assert TIDY.delete_logs(tmp_path, BEFORE).files == 1

    assert folder.is_dir()


def test_what_a_link_leads_to_is_not_deleted(tmp_path: Path) -> None:
    elsewhere, logs = tmp_path / "elsewhere", tmp_path / "logs"
    kept = log(elsewhere, "kept", 91)
    logs.mkdir()
    (logs / "latest").symlink_to(elsewhere, target_is_directory=True)
    (logs / "file").symlink_to(kept)
    grow_old(logs / "file", 91)

    assert TIDY.delete_logs(logs, BEFORE) == (0, 0)

    assert kept.exists()
    assert (logs / "file").is_symlink()


def test_the_folder_itself_stays_when_nothing_is_left_in_it(tmp_path: Path) -> None:
    log(tmp_path, "old", 91)
    grow_old(tmp_path / "dag_id=d", 91)
    grow_old(tmp_path, 91)

    TIDY.delete_logs(tmp_path, BEFORE)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", ["", "0", "-1", "90d", "1.5", "100000", " 90", "٣"])
def test_a_number_of_days_that_cannot_be_is_refused(said: str) -> None:
    done = tidy("--check", days=said)
    assert done.returncode == TIDY.TO_BE_CHANGED
    assert f"AIRFLOW_KEEP_DAYS must be a whole number of days from 1 to 99999, not {said!r}." in done.stderr


def test_a_number_of_days_that_can_be_is_taken() -> None:
    assert tidy("--check", days="90").returncode == 0


def test_airflow_does_not_start_with_a_number_of_days_that_cannot_be() -> None:
    done = subprocess.run(
        ["bash", START, "api-server", "tidy"],
        env={"PATH": os.environ["PATH"], "TILLSTREAM_ENV": "development", "AIRFLOW_KEEP_DAYS": "ninety"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == TIDY.TO_BE_CHANGED
    assert "not 'ninety'" in done.stderr


def test_logs_are_deleted_where_the_database_does_not_answer_and_that_is_said(tmp_path: Path) -> None:
    old = log(tmp_path / "logs", "old", 91)
    done = tidy(tmp_path / "logs", "--once", commands=airflow(tmp_path, "echo no server >&2; exit 1"))

    assert done.returncode == 1
    assert not old.exists()
    assert "Old records of Airflow could not be deleted" in done.stderr
    assert "no server" in done.stderr
    assert "is deleted" not in done.stdout


def test_records_are_deleted_where_the_logs_are_not_there_and_that_is_said(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    done = tidy(tmp_path / "logs", "--once", commands=airflow(tmp_path, f'echo "$@" >{asked}'))

    assert done.returncode == 1
    assert "Old logs of Airflow could not be deleted" in done.stderr
    assert asked.read_text().startswith("db clean ")


def airflow(place: Path, script: str) -> Path:
    """A folder with a command of that name."""
    command = place / "commands" / "airflow"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return command.parent


def tidy(
    *arguments: object, days: str = "90", commands: Path | None = None
) -> subprocess.CompletedProcess[str]:
    path = f"{commands}:{os.environ['PATH']}" if commands else os.environ["PATH"]
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, *map(str, arguments)],
        env={"PATH": path, "AIRFLOW_KEEP_DAYS": days},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
