"""`make init`: what it makes, that it keeps what is there, and what it refuses."""

import json
import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "infra" / "compose" / "init.sh"
WITHIN_S = 30
PASSWORD_LENGTH = 32
AT_ONCE = 4


def init(target: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "TARGET": str(target), **variables}
    return subprocess.run(
        ["sh", SCRIPT], env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def settings(target: Path) -> dict[str, str]:
    lines = (target / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    done = init(tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_every_secret_of_the_compose_file_is_made(target: Path) -> None:
    named = {
        line.split("./secrets/")[1].rstrip("}").strip()
        for line in (ROOT / "compose.yaml").read_text().splitlines()
        if "file: ./secrets/" in line
    }
    made = {path.name for path in (target / "secrets").iterdir()}
    assert named - made == set()
    assert all(not name.startswith(".") for name in made)


def test_passwords_are_long_and_no_two_are_alike(
    target: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    init(other)
    passwords = [
        path.read_text() for each in (target, other) for path in (each / "secrets").glob("*.password")
    ]
    assert len(passwords) == len(set(passwords)) > 2
    assert {len(password) for password in passwords} == {PASSWORD_LENGTH}


def test_addresses_hold_the_password_of_their_role(target: Path) -> None:
    for role in ("tillstream_owner", "tillstream_worker", "tillstream_reader", "tillstream_reports"):
        password = (target / "secrets" / f"{role}.password").read_text()
        url = (target / "secrets" / f"{role}.url").read_text()
        assert url == f"postgresql://{role}:{password}@postgres:5432/tillstream"
    connections = json.loads((target / "secrets" / "airflow_connections.json").read_text())
    assert (
        connections["tillstream_reports"]["password"]
        == (target / "secrets" / "tillstream_reports.password").read_text()
    )


def test_two_at_once_make_one_set_of_secrets(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: init(tmp_path), range(AT_ONCE)))
    assert [each.stderr for each in done if each.returncode != 0] == []
    test_addresses_hold_the_password_of_their_role(tmp_path)


def test_others_on_the_machine_get_to_no_secret(target: Path) -> None:
    assert stat.S_IMODE((target / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((target / ".env").stat().st_mode) == 0o600


def test_the_second_time_changes_nothing(target: Path) -> None:
    (target / "data" / "raw" / "users.csv").write_text("my own\n")
    before = contents(target)
    assert init(target, PORT_OFFSET="100", ENVIRONMENT="production").returncode == 0
    assert contents(target) == before


def test_what_is_missing_is_made_again(target: Path) -> None:
    lost = target / "secrets" / "tillstream_reader.url"
    before = contents(target)
    lost.unlink()
    assert init(target).returncode == 0
    assert contents(target) == before


def test_every_port_moves_by_the_offset(target: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("moved")
    init(moved, PORT_OFFSET="100")
    ports = {name: int(value) for name, value in settings(target).items() if name.startswith("PORT_")}
    assert len(ports) > 1
    assert {name: int(settings(moved)[name]) - port for name, port in ports.items()} == dict.fromkeys(
        ports, 100
    )


def test_the_development_login_is_known_and_the_one_for_production_is_not(
    target: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    production = tmp_path_factory.mktemp("production")
    init(production, ENVIRONMENT="production")
    assert settings(target)["TILLSTREAM_ENV"] == "development"
    assert json.loads((target / "secrets" / "airflow_logins.json").read_text()) == {"admin": "admin123"}
    assert settings(production)["TILLSTREAM_ENV"] == "production"
    login = json.loads((production / "secrets" / "airflow_logins.json").read_text())["admin"]
    assert len(login) == PASSWORD_LENGTH


def test_a_login_that_is_made_again_fits_the_environment_of_the_settings(tmp_path: Path) -> None:
    init(tmp_path, ENVIRONMENT="production")
    (tmp_path / "secrets" / "airflow_logins.json").unlink()
    assert init(tmp_path).returncode == 0
    login = json.loads((tmp_path / "secrets" / "airflow_logins.json").read_text())["admin"]
    assert len(login) == PASSWORD_LENGTH


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ENVIRONMENT": "prod"}, "ENVIRONMENT must be development or production, not 'prod'."),
        ({"PORT_OFFSET": "-1"}, "PORT_OFFSET must be a whole number, not '-1'."),
        ({"PORT_OFFSET": "010"}, "PORT_OFFSET must have no leading zero, not '010'"),
        ({"PORT_OFFSET": "60000"}, "PORT_OFFSET must be 50000 or less"),
    ],
)
def test_a_wrong_wish_is_refused_with_a_sentence_and_nothing_is_made(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    done = init(tmp_path, **variables)
    assert done.returncode != 0
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
