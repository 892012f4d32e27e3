"""The Compose files against the Compose specification's schema and against the rules of the house. Each rule is shown to catch a planted case."""

import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tillstream_native.prometheus import Prometheus

from . import compose_files, compose_rules
from .compose_files import ROOT, Json, parsed, paths, plain, whole

pytestmark = pytest.mark.unit

SCHEMA = Path(__file__).parents[1] / "compose-spec.json"
GOOD = """
name: planted
x-service: &service
  restart: unless-stopped
  init: true
  read_only: true
  user: "10001:10001"
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  logging: {driver: local, options: {max-size: 20m, max-file: "5"}}
  mem_limit: 512m
  stop_grace_period: 30s
  healthcheck: {test: [CMD, "true"], start_period: 30s}
services:
  database:
    <<: *service
    image: postgres:18
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/database.password}
    secrets: [database.password]
    ports: ["127.0.0.1:${PORT:-5432}:5432"]
  migrate:
    <<: *service
    image: planted/worker:${VERSION:-1.0}
    build: .
    restart: "no"
    depends_on: {database: {condition: service_healthy}}
  worker:
    <<: *service
    image: planted/worker:${VERSION:-1.0}
    build: .
    command: [work, alone, "--help"]
    ports: [{target: 9103, published: "9103", host_ip: 127.0.0.1}]
    depends_on: {migrate: {condition: service_completed_successfully}}
secrets:
  database.password: {file: ./secrets/database.password}
"""
CLUSTER = """
services:
  worker: {deploy: {replicas: 2}, ports: !reset [], command: [work, twice]}
  worker-2:
    extends: {file: compose.yaml, service: worker}
    environment: {PLACE: "2"}
    ports: !override ["127.0.0.1:9203:9103"]
"""


def complaints(found: Json) -> list[str]:
    """What the specification has against a file."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return [each.message for each in jsonschema_rs.validator_for(schema).iter_errors(plain(found))]


def good() -> Json:
    return whole(parsed(GOOD))


def test_the_files_of_the_repository_are_looked_at_the_base_first() -> None:
    assert [path.name for path in paths()][:2] == ["compose.yaml", "compose.cluster.yaml"]


def test_every_file_keeps_the_specification() -> None:
    assert {
        path.name: found
        for path in paths()
        if (found := complaints(parsed(path.read_text(encoding="utf-8"))))
    } == {}


def test_every_project_keeps_the_rules_of_the_house() -> None:
    files = [parsed(path.read_text(encoding="utf-8")) for path in paths()]
    projects = [whole(files[0], *on_top) for on_top in ((), *((each,) for each in files[1:]))]
    assert [found for project in projects for found in compose_rules.problems(project)] == []


def test_grafana_is_given_the_files_that_its_provisioning_reads() -> None:
    wanted = yaml.safe_load(
        (ROOT / "infra/grafana/provisioning/datasources/tillstream.yaml").read_text(encoding="utf-8")
    )
    read = [each["secureJsonData"]["password"] for each in wanted["datasources"] if "secureJsonData" in each]
    service = whole(parsed(paths()[0].read_text(encoding="utf-8")))["services"]["grafana"]
    given = [
        each if isinstance(each, str) else each.get("target", each["source"]) for each in service["secrets"]
    ]
    assert read == [f"$__file{{/run/secrets/{name}}}" for name in given if "reader" in name]


def test_prometheus_keeps_as_much_as_beside_the_native_stack() -> None:
    service = whole(parsed(paths()[0].read_text(encoding="utf-8")))["services"]["prometheus"]
    native = Prometheus(Path("/prometheus"), Path("prometheus"), 9090, {}).program()

    def kept(command: Iterable[str]) -> list[str]:
        return sorted(each for each in command if each.startswith("--storage.tsdb.retention."))

    assert len(kept(native.command)) == 2
    assert kept(service["command"]) == kept(native.command)


def test_airflow_is_tidied_up_once_and_where_its_tables_are_made() -> None:
    files = [parsed(path.read_text(encoding="utf-8")) for path in paths()]
    for project in (whole(files[0]), whole(*files[:2])):
        parts = {
            name: service["command"]
            for name, service in project["services"].items()
            if service["image"].startswith("apache/airflow:")
        }
        assert [name for name, command in parts.items() if "tidy" in command] == ["airflow"]
        assert "api-server" in parts["airflow"]
        airflow = project["services"]["airflow"]
        assert airflow["environment"]["AIRFLOW_KEEP_DAYS"] == "90"
        assert "airflow:/opt/airflow/logs" in airflow["volumes"]


def test_good_project_passes() -> None:
    assert complaints(parsed(GOOD)) == []
    assert complaints(parsed(CLUSTER)) == []
    assert compose_rules.problems(good()) == []


def test_one_file_is_laid_on_another_as_compose_does() -> None:
    services = whole(parsed(GOOD), parsed(CLUSTER))["services"]
    assert services["worker"].get("ports", []) == []
    assert services["worker"]["command"] == ["work", "twice"]
    assert services["worker-2"]["ports"] == ["127.0.0.1:9203:9103"]
    assert services["worker-2"]["image"] == "planted/worker:1.0"
    assert services["worker-2"]["user"] == "10001:10001"
    assert compose_rules.problems(whole(parsed(GOOD), parsed(CLUSTER))) == []


def test_a_rule_holds_for_what_a_second_file_changes() -> None:
    opened = parsed(
        'services: {worker-2: {extends: {file: compose.yaml, service: worker}, ports: ["9203:9103"]}}'
    )
    assert compose_rules.problems(whole(parsed(GOOD), opened)) == [
        "worker-2 publishes 9203:9103 to others than this machine"
    ]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("services: {a: {imag: x}}", "imag"),
        ("services: {a: {image: x, ports: 80}}", "80"),
        ("services: {a: {image: x, depends_on: {b: {condition: service_ready}}}}", "service_ready"),
        ("services: {a: {image: x, healthcheck: {start_time: 3s}}}", "start_time"),
        ("service: {a: {image: x}}", "service"),
    ],
)
def test_planted_file_breaks_the_specification(broken: str, why: str) -> None:
    assert [each for each in complaints(parsed(broken)) if why in each]


def _set(service: str, name: str, value: object) -> Callable[[Json], None]:
    return lambda project: project["services"][service].update({name: value})


def _drop(service: str, name: str) -> Callable[[Json], None]:
    def drop(project: Json) -> None:
        del project["services"][service][name]

    return drop


BROKEN: dict[str, tuple[Callable[[Json], object], str]] = {
    "version": (lambda project: project.update(version="3.9"), "`version:`"),
    "no_name": (lambda project: project.pop("name"), "no name"),
    "secret_from_environment": (
        lambda project: project["secrets"].update(other={"environment": "PASSWORD"}), "other does not come from a file"
    ),
    "no_health_check": (_drop("worker", "healthcheck"), "worker has no health check"),
    "disabled_health_check": (_set("worker", "healthcheck", {"disable": True}), "worker has no health check"),
    "no_start_period": (_set("worker", "healthcheck", {"test": "true"}), "worker is called unhealthy"),
    "no_restart": (_drop("worker", "restart"), "worker does not come back"),
    "never_restarted": (_set("worker", "restart", "no"), "worker does not come back"),
    "no_grace": (_drop("worker", "stop_grace_period"), "worker has ten seconds"),
    "no_memory_limit": (_drop("database", "mem_limit"), "database has no limit"),
    "no_log_limit": (_set("database", "logging", {"driver": "local"}), "database may fill the disk"),
    "capabilities": (_drop("database", "cap_drop"), "database keeps capabilities"),
    "new_privileges": (_drop("database", "security_opt"), "database may gain privileges"),
    "privileged": (_set("database", "privileged", value=True), "database is privileged"),
    "engine": (_set("database", "volumes", ["/var/run/docker.sock:/x"]), "database is given the engine"),
    "writable_root": (_set("worker", "read_only", value=False), "worker can write"),
    "no_init": (_drop("worker", "init"), "worker has nobody"),
    "root": (_set("worker", "user", "0:0"), "worker does not run as 10001"),
    "another_user": (_set("migrate", "user", "1000"), "migrate does not run as 10001"),
    "open_port": (_set("database", "ports", ["5432:5432"]), "database publishes 5432:5432"),
    "open_port_on_all": (_set("database", "ports", ["0.0.0.0:5432:5432"]), "database publishes 0.0.0.0"),
    "open_port_as_mapping": (_set("database", "ports", [{"target": 5432, "published": 5432}]), "database publishes"),
    "port_without_number": (_set("database", "ports", ["5432"]), "database publishes 5432"),
    "host_network": (_set("database", "network_mode", "host"), "database shares the network"),
    "latest": (_set("database", "image", "postgres:latest"), "database takes whatever"),
    "no_tag": (_set("database", "image", "mirror.example:5000/postgres"), "database takes whatever"),
    "digest": (_set("database", "image", "postgres:18@sha256:00"), "database pins"),
    "password": (_set("database", "environment", {"POSTGRES_PASSWORD": "postgres"}), "POSTGRES_PASSWORD"),
    "password_from_outside": (_set("database", "environment", ["DB_PASSWORD=${DB_PASSWORD}"]), "DB_PASSWORD"),
    "password_in_address": (
        _set("worker", "environment", {"DATABASE_URL": "postgresql://me:guess@db/x"}), "secret in its environment"
    ),
    "password_in_a_string": (
        _set("worker", "environment", {"DSN": "host=db password=guess"}), "secret in its environment"
    ),
    "key": (_set("worker", "environment", {"FERNET_KEY": "abc="}), "FERNET_KEY"),
    "no_condition": (_set("worker", "depends_on", ["migrate"]), "worker does not say"),
    "weak_condition": (
        _set("worker", "depends_on", {"migrate": {"condition": "service_started"}}), "worker does not say"
    ),
    "lost_dependency": (
        _set("worker", "depends_on", {"other": {"condition": "service_healthy"}}), "other, which is not there"
    ),
    "health_that_nobody_checks": (_drop("database", "healthcheck"), "the health of database"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_planted_case_breaks_a_rule(case: str) -> None:
    plant, expected = BROKEN[case]
    project = deepcopy(good())
    plant(project)
    assert [each for each in compose_rules.problems(project) if expected in each]


def test_root_is_for_a_named_command_without_a_network() -> None:
    project = good()
    command = {**project["services"]["migrate"], "user": "0:0", "depends_on": {}}
    project["services"]["folders"] = command
    project["services"]["worker"]["depends_on"]["folders"] = {"condition": "service_completed_successfully"}
    assert compose_rules.problems(project) == ["folders runs as root and has a network"]
    command["network_mode"] = "none"
    assert compose_rules.problems(project) == []
    del project["services"]["worker"]["depends_on"]["folders"]
    assert "folders runs as root and does not end" in compose_rules.problems(project)


def test_defaults_of_variables_are_put_in() -> None:
    assert compose_files.with_defaults("a:${X:-1}-${Y-2}-${Z:?is missing}") == "a:1-2-${Z:?is missing}"
