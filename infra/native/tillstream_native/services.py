"""How the five processes and the `tillstream` command are run: each with the settings it needs and no others."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tillstream.variables import PREFIX
from tillstream_native.credentials import password_file, url_file
from tillstream_native.places import (
    ETL_WORKER,
    FILE_LOADER,
    FILE_WATCHER,
    INGEST_API,
    QUERY_API,
    REPOSITORY,
    SERVICES,
    Places,
    Ports,
)
from tillstream_native.postgres import OWNER
from tillstream_native.processes import Program
from tillstream_native.system import LOCALHOST, CannotRun

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "JAVA_HOME")
MODULES = {
    INGEST_API: "ingest_api",
    ETL_WORKER: "etl_worker",
    FILE_LOADER: "etl_worker.file_loader",
    QUERY_API: "query_api",
    FILE_WATCHER: "file_watcher",
}
STOP_WITHIN_S = 30  # a service promises 20
COMMAND_WITHIN_S = 120


def base_environment() -> dict[str, str]:
    """What every process of the stack inherits; nothing of the caller's settings leaks through."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def callers_settings() -> dict[str, str]:
    """The caller's own `TILLSTREAM_` variables: they reach every process, and the stack's own win over them."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


class Services:
    """Makes the programs of one stack."""

    def __init__(self, places: Places, ports: Ports, settings: Mapping[str, str]) -> None:
        self._places = places
        self._ports = ports
        self._settings = {**settings, "TILLSTREAM_ENV": "development", "TILLSTREAM_BIND_HOST": LOCALHOST}

    def programs(self) -> list[Program]:
        return [self._program(name) for name in SERVICES]

    def run_command(self, *arguments: str) -> None:
        """Run `tillstream …` to its end. Raises CannotRun with what it said when it fails."""
        environment = {**base_environment(), **self._settings, **self._command_settings()}
        done = subprocess.run(
            [str(Path(sys.executable).with_name("tillstream")), *arguments],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise CannotRun(f"`tillstream {' '.join(arguments)}` failed: {said}")

    def _program(self, name: str) -> Program:
        return Program(
            name=name,
            command=(sys.executable, "-m", MODULES[name]),
            directory=self._places.data,
            ports=self._ports.of(name),
            environment={
                **self._settings,
                "TILLSTREAM_OPS_PORT": str(self._ports.ops(name)),
                **self._own_settings(name),
            },
            stop_within_s=STOP_WITHIN_S,
        )

    def _own_settings(self, name: str) -> dict[str, str]:
        kafka = {"TILLSTREAM_KAFKA_BOOTSTRAP": f"{LOCALHOST}:{self._ports.kafka}"}
        folder = {"TILLSTREAM_DATA_DIR": str(self._places.data)}
        worker = {**kafka, **self._database("tillstream_worker")}
        return {
            INGEST_API: {
                **kafka,
                **folder,
                "TILLSTREAM_INGEST_PORT": str(self._ports.ingest),
                "TILLSTREAM_QUERY_URL": f"http://{LOCALHOST}:{self._ports.query}",
            },
            ETL_WORKER: worker,
            FILE_LOADER: {**worker, **folder},
            QUERY_API: {
                **self._database("tillstream_reader"),
                "TILLSTREAM_QUERY_PORT": str(self._ports.query),
            },
            FILE_WATCHER: {**kafka, **folder},
        }[name]

    def _database(self, role: str) -> dict[str, str]:
        return {"TILLSTREAM_DATABASE_URL_FILE": str(url_file(self._places.secrets, role))}

    def _command_settings(self) -> dict[str, str]:
        secrets = self._places.secrets
        return {
            "TILLSTREAM_KAFKA_BOOTSTRAP": f"{LOCALHOST}:{self._ports.kafka}",
            "TILLSTREAM_OWNER_DATABASE_URL_FILE": str(url_file(secrets, OWNER)),
            "TILLSTREAM_WORKER_PASSWORD_FILE": str(password_file(secrets, "tillstream_worker")),
            "TILLSTREAM_OPERATOR_PASSWORD_FILE": str(password_file(secrets, "tillstream_operator")),
            "TILLSTREAM_READER_PASSWORD_FILE": str(password_file(secrets, "tillstream_reader")),
            "TILLSTREAM_REPORTS_PASSWORD_FILE": str(password_file(secrets, "tillstream_reports")),
        }
