"""The configuration and the rules by Prometheus's own judge, whichever version is here."""

import shutil
from pathlib import Path

import pytest

from support.prometheus import FOLDER, Promtool, find_promtool

pytestmark = [pytest.mark.integration, pytest.mark.promtool]

RULE_TESTS = sorted(path.name for path in (FOLDER / "tests").glob("*.yml"))
# What is changed in a rule, and which of the tests must see it.
PLANTED = {
    "another threshold": ("data_age_seconds:max > 120", "data_age_seconds:max > 1200", "data.yml"),
    "no patience": ("for: 15m", "for: 1s", "files.yml"),
    "a target that is 0 only": ('or absent(up{job="etl-worker"})', "", "processes.yml"),
    "the other direction": ("deriv(tillstream:consumer_lag_records:sum[10m]) > 0", "tillstream:consumer_lag_records:sum > 0", "data.yml"),
    "as many as there ever were": ("job:answering_instances:min2m[1d]", "job:answering_instances:min2m[15d]", "days.yml"),
    "fewer than a moment ago": ("job:answering_instances:min2m[1d]", "job:answering_instances:min2m[10m]", "days.yml"),
    "two addresses of one container": ("job:answering_instances:min2m[1d]", "job:answering_instances:count[1d]", "processes.yml"),
    "an address that is there no more": ("== 1\n            and time() - timestamp(up) < 30", "== 1", "processes.yml"),
    "the last of the workers that swept": ('max by (job) (tillstream_last_success_timestamp_seconds{job="etl-worker"', 'min by (job) (tillstream_last_success_timestamp_seconds{job="etl-worker"', "data.yml"),
    "no sweep since the start": ('or absent(tillstream_last_success_timestamp_seconds{job="etl-worker", activity="sweep"})', "", "data.yml"),
    "a start that is an alarm": ("> 120\n        for: 1m", ">= 0\n        for: 1m", "idle.yml"),
}  # fmt: skip


def promtool(folder: Path = FOLDER) -> Promtool:
    """These tests are left out where there is none."""
    found = find_promtool(folder)
    assert found is not None
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the folder, to be changed."""
    return Path(shutil.copytree(FOLDER, tmp_path / "prometheus"))


def test_the_configuration_is_valid_and_names_its_rules() -> None:
    done = promtool().run("check", "config", "{}/prometheus.yml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rules found") == len(list((FOLDER / "rules").iterdir()))


@pytest.mark.parametrize("name", RULE_TESTS)
def test_rules_do_what_their_tests_say(name: str) -> None:
    done = promtool().run("test", "rules", f"{{}}/tests/{name}")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize("case", sorted(PLANTED))
def test_planted_fault_of_a_rule_is_found(copy: Path, case: str) -> None:
    right, wrong, judge = PLANTED[case]
    (rules,) = (path for path in (copy / "rules").iterdir() if right in path.read_text(encoding="utf-8"))
    rules.write_text(rules.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    judging = promtool(copy)
    assert judging.run("check", "rules", f"{{}}/rules/{rules.name}").returncode == 0, (
        "it must be a rule still"
    )
    assert judging.run("test", "rules", f"{{}}/tests/{judge}").returncode != 0
