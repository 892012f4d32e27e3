"""The dashboards without a Grafana: its published schema, our own rules, the provisioning. Each rule is shown to catch a planted case."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tillstream_dashboards.__main__ import FOLDER, MADE, as_text

from . import rules
from .rules import GRAFANA, Json

pytestmark = pytest.mark.unit

FILES = sorted(MADE)
SCHEMA_OF_GRAFANA_12 = 41


def dashboard(name: str) -> Json:
    found: Json = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return found


def complaints(found: Json) -> list[str]:
    """What Grafana's own types have against a dashboard."""
    schema = json.loads((GRAFANA / "schema" / "dashboard.json").read_text(encoding="utf-8"))
    return [str(each) for each in jsonschema_rs.validator_for(schema).iter_errors(found)]


@pytest.mark.parametrize("name", FILES)
def test_file_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == as_text(MADE[name]()), (
        "run `python -m tillstream_dashboards`"
    )


def test_no_other_dashboard_is_provisioned() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == FILES


@pytest.mark.parametrize("name", FILES)
def test_dashboard_keeps_grafanas_published_schema(name: str) -> None:
    assert complaints(dashboard(name)) == []
    assert dashboard(name)["schemaVersion"] == SCHEMA_OF_GRAFANA_12


@pytest.mark.parametrize("name", FILES)
def test_dashboard_keeps_the_rules_of_the_house(name: str) -> None:
    assert rules.problems(dashboard(name)) == []


def test_dashboards_have_uids_of_their_own() -> None:
    uids = [dashboard(name)["uid"] for name in FILES]
    assert len(set(uids)) == len(uids)


def _panel(found: Json, kind: str) -> Json:
    panel: Json = next(each for each in found["panels"] if each["type"] == kind)
    return panel


def _set(kind: str, *path: str | int, value: Any) -> Callable[[Json], None]:
    def plant(found: Json) -> None:
        inner: Any = _panel(found, kind)
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return plant


AGAINST_THE_SCHEMA = {
    "unknown_option": _set("stat", "options", "colourMode", value="value"),
    "option_of_another_kind": _set("table", "options", "graphMode", value="none"),
    "wrong_choice": _set("stat", "options", "graphMode", value="bars"),
    "wrong_field_option": _set(
        "timeseries", "fieldConfig", "defaults", "custom", "drawStyle", value="columns"
    ),
    "unknown_kind": _set("stat", "type", value="singlestat"),
    "text_for_number": _set("stat", "gridPos", "w", value="4"),
    "misspelt_key": _set("stat", "descripton", value="x"),
}


@pytest.mark.parametrize("case", sorted(AGAINST_THE_SCHEMA))
def test_planted_case_breaks_the_schema(case: str) -> None:
    found = dashboard("shop.json")
    AGAINST_THE_SCHEMA[case](found)
    assert complaints(found)


def _doubled(found: Json) -> None:
    found["panels"].append(deepcopy(_panel(found, "stat")))


AGAINST_THE_RULES = {
    "id_twice": (_doubled, "two panels have the id"),
    "no_title": (_set("stat", "title", value=""), "no title"),
    "no_description": (_set("stat", "description", value="Revenue."), "description"),
    "unknown_unit": (_set("stat", "fieldConfig", "defaults", "unit", value="secs"), "no unit 'secs'"),
    "nothing_for_no_data": (_set("stat", "fieldConfig", "defaults", "noValue", value=""), "nothing to show"),
    "falling_thresholds": (
        _set("stat", "fieldConfig", "defaults", "thresholds", "steps",
             value=[{"color": "green", "value": None}, {"color": "red", "value": 5}, {"color": "red", "value": 1}]),
        "do not rise",
    ),
    "lost_data_source": (_set("stat", "targets", 0, "datasource", "uid", value="other"), "provisioned"),
    "question_twice": (
        _set("stat", "targets", value=[{"refId": "A", "datasource": {"uid": "tillstream-postgres", "type": "grafana-postgresql-datasource"}, "rawSql": "SELECT 1"}] * 2),
        "are called",
    ),
    "nothing_asked": (_set("stat", "targets", 0, "rawSql", value=""), "asks nothing"),
    "table_instead_of_view": (_set("stat", "targets", 0, "rawSql", value="SELECT sum(total_amount) FROM shop.orders"), "not of `api`"),
    "out_of_the_grid": (_set("stat", "gridPos", "x", value=22), "out of the grid"),
    "one_on_another": (_set("stat", "gridPos", "w", value=9), "lies on"),
    "undeclared_variable": (_set("stat", "targets", 0, "rawSql", value="SELECT ${limit}"), "$limit is not declared"),
    "missing_runbook": (_set("stat", "description", value="It means that. Runbook: docs/runbooks/none.md"), "does not exist"),
    "hasty_refresh": (lambda found: found.update(refresh="1s"), "refreshed every 1s"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(AGAINST_THE_RULES))
def test_planted_case_breaks_a_rule(case: str) -> None:
    plant, expected = AGAINST_THE_RULES[case]
    found = dashboard("shop.json")
    plant(found)
    assert [each for each in rules.problems(found) if expected in each]


def _provisioned(path: str) -> Json:
    found: Json = yaml.safe_load((GRAFANA / "provisioning" / path).read_text(encoding="utf-8"))
    return found


def test_postgresql_is_read_as_the_reader_whose_password_comes_from_a_file() -> None:
    source = next(
        each
        for each in _provisioned("datasources/tillstream.yaml")["datasources"]
        if "postgres" in each["type"]
    )
    assert (source["user"], source["url"]) == ("tillstream_reader", "postgres:5432")
    assert source["secureJsonData"] == {"password": "$__file{/run/secrets/tillstream_reader.password}"}
    assert (source["jsonData"]["database"], source["jsonData"]["sslmode"]) == ("tillstream", "disable")
    assert source["editable"] is False


def test_dashboards_come_from_files_and_cannot_be_saved_over() -> None:
    (provider,) = _provisioned("dashboards/tillstream.yaml")["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/etc/grafana/dashboards")
    assert provider["allowUiUpdates"] is False
