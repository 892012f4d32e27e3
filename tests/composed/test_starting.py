"""What is refused before anything runs, and the commands that people give."""

import json
import subprocess
from pathlib import Path

import pytest

from support.composed import ROOT, ComposedStack, copy_tree
from tillstream.contracts.topics import RECORD_PARTITIONS

pytestmark = pytest.mark.e2e

AIRFLOW = "apache/airflow:3.3.2-python3.13"
WITHIN_S = 60
MISCONFIGURED = 78


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WITHIN_S, check=False)


def start_airflow(place: Path, said: str, environment: str) -> subprocess.CompletedProcess[str]:
    """The script that the container of Airflow begins with, as its user. Its only part is `airflow version`, which ends."""
    logins = place / "logins.json"
    logins.write_text(said)
    logins.chmod(0o644)
    mounts = (
        f"--volume={ROOT / 'infra' / 'airflow'}:/opt/airflow/infra:ro",
        f"--volume={logins}:/run/secrets/airflow_logins.json:ro",
    )
    script = ("bash", "-c", "bash /opt/airflow/infra/start.sh version 2>&1")
    return run(
        *("docker", "run", "--rm", "--network=none", f"--env=TILLSTREAM_ENV={environment}", *mounts),
        *(f"--entrypoint={script[0]}", AIRFLOW, *script[1:]),
    )


def test_without_init_it_says_what_to_do(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    done = run("docker", "compose", "up", "--detach", cwd=tmp_path)
    assert done.returncode != 0
    assert "run `make init` first" in done.stderr


@pytest.mark.parametrize(
    "logins",
    [
        json.dumps({"admin": "admin123"}),
        json.dumps({"admin": "admin123", "other": "x" * 32}),
        json.dumps({"admin": "admin123"}, indent=4),
        json.dumps({"admin": ""}),
        "no JSON",
    ],
)
def test_production_refuses_the_login_that_everybody_knows(tmp_path: Path, logins: str) -> None:
    refused = start_airflow(tmp_path, logins, "production")
    assert refused.returncode == MISCONFIGURED
    assert "less than 16 characters, such as that of development" in refused.stdout


def test_a_login_that_nobody_knows_or_nobody_else_reaches_is_taken(tmp_path: Path) -> None:
    taken = [
        start_airflow(tmp_path, json.dumps({"admin": "admin123"}), "development"),
        start_airflow(tmp_path, json.dumps({"admin": "x" * 32}), "production"),
    ]
    assert MISCONFIGURED not in {done.returncode for done in taken}
    assert all("16 characters" not in done.stdout for done in taken)


def test_people_have_the_command_line_in_a_container(composed: ComposedStack) -> None:
    listed = composed.run("run", "--rm", "tillstream", "partitions", "list", "--topic", "shop.events.v1")
    assert listed.count("shop.events.v1") == RECORD_PARTITIONS
    (composed.data_dir / "looked-at.csv").write_text(
        "product_id,product_name,category,price\n1,Tea,Test,2.50\n"
    )
    (composed.data_dir / "looked-at.csv").chmod(0o644)
    assert "product" in composed.run("run", "--rm", "tillstream", "csv-doctor", "looked-at.csv")
