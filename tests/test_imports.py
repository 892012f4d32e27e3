"""The import arrows can be broken: one planted import per contract, and each contract says so."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "pyproject.toml"
SOURCES = (ROOT / "shared" / "src", *(ROOT / "services").glob("*/src"))
LINT_WITHIN_S = 60

PLANTED = {
    "Inside tillstream, arrows point down": ("tillstream/contracts/planted.py", "import tillstream.kafka"),
    "A service never imports another one": ("etl_worker/planted_neighbour.py", "import query_api"),
    "What is shared knows no service": ("tillstream/db/planted.py", "import file_watcher"),
    "What is for tests stays out of production": ("ingest_api/planted.py", "import hypothesis"),
    "Contracts know no broker, no database, no web framework": (
        "tillstream/contracts/planted_driver.py",
        "import psycopg",
    ),
    "ingest-api and file-watcher never touch PostgreSQL": ("ingest_api/planted_driver.py", "import psycopg"),
    "file-watcher does not look into files": ("file_watcher/planted.py", "import tillstream.csv"),
    "query-api reads PostgreSQL only, and cannot write": ("query_api/planted.py", "import tillstream.apply"),
    "The worker serves no clients": ("etl_worker/planted_web.py", "import fastapi"),
    "Inside a service, __main__ uses app, app uses the edge": (
        "ingest_api/routes.py",
        "import ingest_api.app",
    ),
}


def run_linter(folder: Path) -> dict[str, str]:
    """Lint the packages in a folder with the repository's contracts; the verdict of each contract by its name."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", CONFIG, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=LINT_WITHIN_S,
        check=False,
    )
    lines = done.stdout.splitlines()
    return {
        name: line.removeprefix(name).split()[0]
        for name in PLANTED
        for line in lines
        if line.startswith(name) and line.endswith(("KEPT", "BROKEN"))
    }


def test_every_contract_has_a_planted_case() -> None:
    with CONFIG.open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    assert sorted(contract["name"] for contract in contracts) == sorted(PLANTED)


def test_planted_imports_break_their_contracts(tmp_path: Path) -> None:
    for source in SOURCES:
        shutil.copytree(source, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    assert set(run_linter(tmp_path).values()) == {"KEPT"}
    for place, line in PLANTED.values():
        with (tmp_path / place).open("a") as module:
            module.write(f"\n{line}\n")
    assert run_linter(tmp_path) == dict.fromkeys(PLANTED, "BROKEN")
