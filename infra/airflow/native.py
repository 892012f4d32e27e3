"""Airflow beside the native stack: `native.py dag` runs the DAG once, `native.py standalone` serves it with its UI.

Started by `make dag` and `make airflow` in `.venv-airflow`, told by `tillstream_native run` where the stack is.
"""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parents[2]
DAG = "ecommerce_etl_pipeline"
LOCALHOST = "127.0.0.1"
UI_PORT = 8080
WORKER_LOG_PORT = 8793
TRIGGER_LOG_PORT = 8794
METADATA = "airflow"
PASSWORD_BYTES = 24
OWNER_ONLY = 0o600
# Known to everybody, hence only for a UI that nobody else can reach.
DEVELOPMENT_LOGIN = {"admin": "admin123"}


def home_of(state: Path) -> Path:
    return state / "airflow"


def environment(state: Path) -> dict[str, str]:
    """What every Airflow process needs of this stack."""
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home_of(state)),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # As in a container: the password stands in a file, and in no process's environment.
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(_connections(state))}),
    }


def standalone_environment(state: Path, offset: int) -> dict[str, str]:
    """The same with a UI on this machine only, and the metadata in the stack's PostgreSQL."""
    home = home_of(state)
    logins = home / "logins.json"
    _write_secret(logins, json.dumps(DEVELOPMENT_LOGIN))
    address = f"http://{LOCALHOST}:{UI_PORT + offset}"
    return {
        **environment(state),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _metadata(state),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(logins),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": LOCALHOST,
        "AIRFLOW__API__PORT": str(UI_PORT + offset),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(WORKER_LOG_PORT + offset),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(TRIGGER_LOG_PORT + offset),
    }


def _connections(state: Path) -> Path:
    """The file in which Airflow finds its way to the shop's database."""
    reports = (state / "secrets" / "tillstream_reports.url").read_text().strip()
    file = home_of(state) / "connections.json"
    _write_secret(file, json.dumps({"tillstream_reports": reports}))
    return file


def _metadata(state: Path) -> str:
    """Where Airflow keeps its own tables: a database and a role of its own, made once."""
    kept = state / "secrets" / "airflow.password"
    if not kept.exists():
        _write_secret(kept, secrets.token_urlsafe(PASSWORD_BYTES))
    password = kept.read_text().strip()
    server = (state / "secrets" / "postgres.url").read_text().strip()
    role = sql.Identifier(METADATA)
    with psycopg.connect(server, autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [METADATA]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [METADATA]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(role))
    port = urlsplit(server).port
    return f"postgresql+psycopg2://{METADATA}:{quote(password, safe='')}@{LOCALHOST}:{port}/{METADATA}"


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)) as file:
        file.write(text)


def main(what: str) -> None:
    state = Path(os.environ["STATE"])
    if what == "dag":
        settings = environment(state)
        command = ["airflow", "dags", "test", DAG, *sys.argv[2:]]
        subprocess.run(["airflow", "db", "migrate"], env=settings, check=True, stdout=subprocess.DEVNULL)  # noqa: S607
    else:
        settings = standalone_environment(state, int(os.environ.get("PORT_OFFSET") or 0))
        command = ["airflow", "standalone"]
        print(
            f"Airflow comes up at {settings['AIRFLOW__API__BASE_URL']}, login admin / admin123.", flush=True
        )
    os.execvpe(command[0], command, settings)  # noqa: S606 - Airflow's own command


if __name__ == "__main__":
    main(sys.argv[1])
