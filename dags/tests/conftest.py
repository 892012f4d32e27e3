"""Fixtures: Airflow's own home, one native stack for the session, copies of its database, and the DAG run in this process."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from support.desk import Desk
from support.native import ROOT, SAMPLE, NativeStack, free_offset
from support.unguarded import make_unguarded

ENTERABLE = 0o711
MIGRATE_WITHIN_S = 120
SCRUBBED = ("AIRFLOW", "TILLSTREAM_", "PG")


def pytest_configure() -> None:
    """Before anything imports Airflow, which reads its settings when it is imported; those of the caller do not reach it."""
    for name in list(os.environ):
        if name.startswith(SCRUBBED):
            del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": tempfile.mkdtemp(prefix="tillstream-airflow-"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[NativeStack]:
    """The shop with its sample loaded, as `make up` leaves it."""
    place = Path(tempfile.mkdtemp(prefix="tillstream-dags-"))
    place.chmod(ENTERABLE)
    running = NativeStack(place / "state", free_offset())
    try:
        running.up(os.getpid())
        yield running
    finally:
        running.down()


@pytest.fixture(scope="session")
def metadata() -> None:
    """Airflow's own tables, in SQLite."""
    subprocess.run(["airflow", "db", "migrate"], check=True, timeout=MIGRATE_WITHIN_S, capture_output=True)


@pytest.fixture(scope="session")
def unguarded_template(stack: NativeStack) -> str:
    """The name of a copy of the shop's database in which no constraint holds."""
    return make_unguarded(stack)


@pytest.fixture
def unguarded(stack: NativeStack, unguarded_template: str) -> Iterator[str]:
    """A copy that a test may break: its name."""
    name = f"copy_{uuid4().hex}"
    with psycopg.connect(stack.dsn("postgres"), autocommit=True) as connection:
        names = [sql.Identifier(each) for each in (name, unguarded_template, "tillstream_owner")]
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO tillstream_reports").format(names[0]))
        yield name
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder of this test's own, with the sample in `raw/`: the files go over HTTP anyway."""
    shutil.copytree(SAMPLE, tmp_path / "data" / "raw")
    (tmp_path / "data" / "output").mkdir()
    return tmp_path / "data"


@pytest.fixture
def airflow_environment(stack: NativeStack, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tasks find in their environment."""
    monkeypatch.setenv("TILLSTREAM_INGEST_URL", stack.ingest_url)
    monkeypatch.setenv("TILLSTREAM_QUERY_URL", stack.query_url)
    monkeypatch.setenv("TILLSTREAM_DATA_DIR", str(data_dir))
    monkeypatch.setenv("AIRFLOW_CONN_TILLSTREAM_REPORTS", stack.dsn("tillstream_reports"))


@pytest.fixture
def reports(stack: NativeStack) -> Iterator[psycopg.Connection[Any]]:
    """The shop's database as the DAG sees it."""
    with psycopg.connect(stack.dsn("tillstream_reports")) as connection:
        yield connection


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Both doors in one, which answer as a test says."""
    with Desk() as running:
        yield running


@pytest.fixture
def naps() -> tuple[list[float], Callable[[float], None]]:
    """How long somebody would have slept, and the function that notes it."""
    taken: list[float] = []
    return taken, taken.append
