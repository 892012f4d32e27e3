"""What a container may do, which ports it has, and who gets to see a secret."""

import json
import subprocess
from contextlib import ExitStack
from typing import LiteralString

import psycopg
import pytest

from support.composed import ComposedStack, docker
from tillstream.variables import misspelt

pytestmark = pytest.mark.e2e

OURS = ("ingest-api", "query-api", "etl-worker", "file-loader", "file-watcher")
LONG_RUNNING = (*OURS, "postgres", "kafka", "prometheus", "airflow")
COMMANDS = ("migrate", "topics", "folders")
SERVICE_UID = "10001"
NO_CAPABILITIES = "0000000000000000"
MIB = 2**20
ALL_CONNECTIONS = 60  # infra/postgres/tillstream.conf


def status_of_first_process(composed: ComposedStack, service: str) -> dict[str, str]:
    """/proc/1/status of a container, as a mapping."""
    lines = docker("exec", composed.container(service), "cat", "/proc/1/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_every_service_of_the_file_is_looked_at(composed: ComposedStack) -> None:
    assert sorted(composed.services) == sorted((*LONG_RUNNING, *COMMANDS))


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_no_process_is_root_or_has_a_capability(composed: ComposedStack, service: str) -> None:
    status = status_of_first_process(composed, service)
    real, effective, *_ = status["Uid"].split()
    assert "0" not in {real, effective}
    if service in OURS:
        assert {real, effective} == {SERVICE_UID}
    sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert {name: status[name] for name in sets} == dict.fromkeys(sets, NO_CAPABILITIES)
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("service", [*OURS, "postgres", "prometheus"])
def test_nothing_can_be_written_into_the_program(composed: ComposedStack, service: str) -> None:
    assert composed.inspect(service)["HostConfig"]["ReadonlyRootfs"]
    places = "/planted /opt/planted /usr/local/planted /var/planted"
    script = f"for each in {places}; do (: >$each) 2>&1 | grep -q 'Read-only' || echo $each; done"
    assert docker("exec", composed.container(service), "sh", "-c", script) == ""


@pytest.mark.parametrize("service", [*LONG_RUNNING, *COMMANDS])
def test_memory_logs_and_privileges_are_bounded(composed: ComposedStack, service: str) -> None:
    host = composed.inspect(service)["HostConfig"]
    assert 64 * MIB <= host["Memory"] <= 4096 * MIB
    assert not host["Privileged"]
    assert {"max-size", "max-file"} <= host["LogConfig"]["Config"].keys()
    assert host["RestartPolicy"]["Name"] == ("no" if service in COMMANDS else "unless-stopped")


@pytest.mark.parametrize("service", [*LONG_RUNNING, *COMMANDS])
def test_ports_are_open_on_this_machine_only(composed: ComposedStack, service: str) -> None:
    bindings = composed.inspect(service)["HostConfig"]["PortBindings"] or {}
    assert {each["HostIp"] for port in bindings.values() for each in port} <= {"127.0.0.1"}


def test_the_doors_cannot_reach_the_database(composed: ComposedStack) -> None:
    script = "import socket; socket.create_connection(('postgres', 5432), 3)"
    for service, reaches in (("ingest-api", False), ("file-watcher", False), ("query-api", True)):
        command = ["docker", "exec", composed.container(service), "python", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode == 0) == reaches, (service, done.stderr)
        assert reaches or "Name or service not known" in done.stderr or "Temporary failure" in done.stderr


def secrets_of(composed: ComposedStack) -> dict[str, str]:
    """Every password and key; of the addresses the password is what counts."""
    found = {path.name: path.read_text() for path in (composed.place / "secrets").iterdir()}
    assert len(found) > len(COMMANDS)
    del found["postgres.password"]  # opens nothing, which a test below shows
    passwords = {name: text for name, text in found.items() if name.endswith((".password", ".key"))}
    return {**passwords, "the development login": json.loads(found["airflow_logins.json"])["admin"]}


@pytest.mark.parametrize("service", [*LONG_RUNNING, *COMMANDS])
def test_no_secret_is_shown_by_the_engine_or_the_log(composed: ComposedStack, service: str) -> None:
    container = composed.container(service)
    shown = docker("inspect", container) + docker("logs", container)
    shown += docker("history", "--no-trunc", composed.inspect(service)["Image"])
    assert [name for name, secret in secrets_of(composed).items() if secret in shown] == []


@pytest.mark.parametrize("service", [*LONG_RUNNING, *COMMANDS])
def test_no_container_is_given_a_variable_that_nobody_knows(composed: ComposedStack, service: str) -> None:
    given = [each.partition("=")[0] for each in composed.inspect(service)["Config"]["Env"]]
    assert "PATH" in given
    assert misspelt(given) == []


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_no_secret_is_in_the_environment_or_arguments_of_a_process(
    composed: ComposedStack, service: str
) -> None:
    script = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; true"
    shown = docker("exec", composed.container(service), "sh", "-c", script)
    assert "PATH=" in shown
    assert [name for name, secret in secrets_of(composed).items() if secret in shown] == []


def test_the_superuser_cannot_come_in_over_the_network(composed: ComposedStack) -> None:
    dsn = composed.dsn("tillstream_owner").replace("tillstream_owner", "postgres", 1)
    password = composed.secret("postgres.password")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn, password=password, connect_timeout=10)
    asked = ("psql", "--username=postgres", "--tuples-only", "--command=SELECT current_user")
    assert docker("exec", composed.container("postgres"), *asked).strip() == "postgres"


def refusal(
    composed: ComposedStack, role: str, statement: LiteralString, database: str = "tillstream"
) -> str:
    """What PostgreSQL says to a statement that it must refuse."""
    dsn = f"{composed.dsn(role).rpartition('/')[0]}/{database}"
    with pytest.raises(psycopg.Error) as refused, psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.execute(statement)
    return str(refused.value)


def test_a_role_has_its_own_database_and_cannot_fill_the_disk(composed: ComposedStack) -> None:
    for database in ("postgres", "airflow"):
        assert "permission denied for database" in refusal(
            composed, "tillstream_reports", "SELECT 1", database
        )
    assert "permission denied for function" in refusal(composed, "tillstream_reports", "SELECT lo_create(0)")


def take_connections(composed: ComposedStack, opened: ExitStack) -> None:
    for _ in range(ALL_CONNECTIONS):
        opened.enter_context(psycopg.connect(composed.dsn("tillstream_reports"), connect_timeout=10))


def test_the_nightly_run_cannot_take_everybodys_connections(composed: ComposedStack) -> None:
    with ExitStack() as opened:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            take_connections(composed, opened)
        with psycopg.connect(composed.dsn("tillstream_reader"), connect_timeout=10) as reader:
            assert reader.execute("SELECT 1").fetchone() == (1,)


def test_a_container_sees_its_own_secrets_only(composed: ComposedStack) -> None:
    seen = {
        service: set(docker("exec", composed.container(service), "ls", "/run/secrets").split())
        for service in ("query-api", "etl-worker", "file-loader", "postgres")
    }
    assert seen == {
        "query-api": {"tillstream_reader.url"},
        "etl-worker": {"tillstream_worker.url"},
        "file-loader": {"tillstream_worker.url"},
        "postgres": {"postgres.password", "tillstream_owner.password", "airflow.password"},
    }
    for service in ("ingest-api", "file-watcher"):
        assert {mount["Destination"] for mount in composed.inspect(service)["Mounts"]} == {"/data"}


def test_images_hold_one_service_and_no_tests(composed: ComposedStack) -> None:
    script = (
        "import importlib.util as u; print(*[n for n in ('ingest_api', 'query_api', 'etl_worker',"
        " 'file_watcher', 'pytest', 'hypothesis', 'hatchling') if u.find_spec(n)])"
    )
    for service in OURS:
        wanted = "etl_worker" if service == "file-loader" else service.replace("-", "_")
        assert docker("exec", composed.container(service), "python", "-c", script).split() == [wanted]


def test_secrets_and_files_cannot_be_read_by_other_users_of_the_machine(composed: ComposedStack) -> None:
    assert (composed.place / "secrets").stat().st_mode & 0o077 == 0
    assert (composed.place / ".env").stat().st_mode & 0o077 == 0
    for folder in (
        composed.data_dir / name for name in ("input", "work", "processed", "error", "raw", "output")
    ):
        assert folder.stat().st_mode & 0o007 == 0, folder
