"""What rules and dashboards name exists: metrics, labels, jobs, pages; and each rule has its tests."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.promql import COMMON_LABELS, named, named_by_variable, problems
from tillstream.contracts.topics import TOPICS
from tillstream.observe.definitions import Process
from tillstream_native.places import REPOSITORY, Ports

pytestmark = pytest.mark.unit

FOLDER = REPOSITORY / "infra" / "prometheus"
DASHBOARDS = sorted((REPOSITORY / "infra" / "grafana").rglob("*.json"))
PAGES = REPOSITORY / "docs" / "runbooks" / "alerts"
SEVERITIES = {"critical", "warning"}
RECORDED_NAME = re.compile(r"[a-z]+:[a-z0-9_]+:[a-z0-9_]+")
ALERT_NAME = re.compile(r"Tillstream[A-Z][A-Za-z]+")

type Yaml = dict[str, Any]


def loaded(path: Path) -> Yaml:
    found: Yaml = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


RULES: list[Yaml] = [
    rule
    for path in sorted((FOLDER / "rules").glob("*.yml"))
    for group in loaded(path)["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"]: rule for rule in RULES if "record" in rule}
TESTS: list[Yaml] = [
    test for path in sorted((FOLDER / "tests").glob("*.yml")) for test in loaded(path)["tests"]
]


def recorded_labels() -> dict[str, frozenset[str]]:
    """The labels of a recorded series are those that its expression keeps by name."""
    return {name: frozenset(named(rule["expr"]).labels) for name, rule in RECORDS.items()}


@dataclass(frozen=True, slots=True)
class Query:
    """An expression of a dashboard, and where it stands."""

    place: str
    expr: str
    is_variable: bool = False


def queries(dashboard: Path) -> Iterator[Query]:
    """Every PromQL expression in a dashboard, wherever it is in there."""

    def look(node: Any, place: str) -> Iterator[Query]:
        if isinstance(node, dict):
            place = f"{place} > {node['title']}" if isinstance(node.get("title"), str) else place
            if isinstance(node.get("expr"), str):
                yield Query(place, node["expr"])
            for each in node.values():
                yield from look(each, place)
        elif isinstance(node, list):
            for each in node:
                yield from look(each, place)

    content = json.loads(dashboard.read_text(encoding="utf-8"))
    yield from look(content, dashboard.name)
    for variable in content.get("templating", {}).get("list", ()) if isinstance(content, dict) else ():
        asked = variable.get("query")
        if isinstance(asked, dict) and "label_values" in str(asked.get("query")):
            yield Query(f"{dashboard.name} > variable {variable['name']}", asked["query"], is_variable=True)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_what_a_rule_names_is_exposed(rule: Yaml) -> None:
    assert problems(named(rule["expr"]), recorded_labels()) == []


def test_what_a_dashboard_names_is_exposed() -> None:
    recorded = recorded_labels()
    found = {
        query.place: said
        for dashboard in DASHBOARDS
        for query in queries(dashboard)
        if (said := problems((named_by_variable if query.is_variable else named)(query.expr), recorded))
    }
    assert found == {}


PLANTED = {
    "misspelt": ("sum(rate(tillstream_ingest_acepted_records_total[1m]))", "nothing exposes"),
    "counter without its suffix": ("rate(tillstream_ingest_accepted_records[1m])", "nothing exposes"),
    "histogram itself": ("tillstream_apply_batch_seconds", "nothing exposes"),
    "rule that is not there": ("tillstream:consumer_lag:sum > 1", "nothing exposes"),
    "in a subquery": ("max_over_time(tillstream_redy[5m:1m])", "nothing exposes"),
    "by name matcher": ('{__name__="tillstream_redy"}', "nothing exposes"),
    "matcher": ('tillstream_ready{topic="shop.users.v1"}', "has no label 'topic'"),
    "grouping": ("sum by (outcome) (rate(tillstream_file_bytes_total[1m]))", "by the label 'outcome', which it has not"),
    "grouping by what another metric has": ("sum by (topic) (tillstream_ready) / on (job) kafka_consumergroup_lag", "by the label 'topic'"),
    "grouping of a histogram's parts": ("sum by (le, route) (rate(tillstream_http_request_seconds_count[5m]))", "by the label 'le'"),
    "matching": ("up and on (partition) tillstream_ready", "has the label 'partition'"),
    "grouping of a recorded series": ("sum by (partition) (tillstream:consumer_lag_records:sum)", "by the label 'partition'"),
    "job": ('up{job="etl_worker"}', "there is no job"),
    "job that serves others": ('tillstream_parked_rows{job="query-api"}', "query-api does not serve"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(PLANTED))
def test_planted_wrong_name_is_found(case: str) -> None:
    expression, sentence = PLANTED[case]
    (said,) = problems(named(expression), recorded_labels())
    assert sentence in said


def test_planted_wrong_name_in_a_dashboard_is_found(tmp_path: Path) -> None:
    dashboard = tmp_path / "planted.json"
    panel = {
        "title": "Lag",
        "targets": [{"rawSql": "SELECT 1"}, {"expr": "sum(rate(a_b[$__rate_interval]))"}],
    }
    asked = {"name": "topic", "query": {"query": "label_values(tillstream_ready, topic)"}}
    dashboard.write_text(
        json.dumps({"panels": [{"title": "Row", "panels": [panel]}], "templating": {"list": [asked]}})
    )
    one, other = queries(dashboard)
    assert problems(named(one.expr), {}) == ["nothing exposes 'a_b'"]
    assert one.place == "planted.json > Row > Lag"
    assert problems(named_by_variable(other.expr), {}) == ["no metric in it has the label 'topic'"]


def test_every_process_is_a_target_at_its_ops_port() -> None:
    jobs = {each["job_name"]: each for each in loaded(FOLDER / "prometheus.yml")["scrape_configs"]}
    assert set(jobs) == {*Process, "prometheus"}
    for process in Process:
        job = jobs[process]
        found = [
            *(target for each in job.get("static_configs", ()) for target in each["targets"]),
            *(f"{name}:{each['port']}" for each in job.get("dns_sd_configs", ()) for name in each["names"]),
        ]
        assert found == [f"{process}:{Ports().ops(process)}"]


@pytest.mark.parametrize("process", Process)
def test_every_process_is_missed(process: Process) -> None:
    asked = named(ALERTS["TillstreamTargetMissing"]["expr"])
    assert process in asked.jobs["up"]
    assert f'absent(up{{job="{process}"}})' in ALERTS["TillstreamTargetMissing"]["expr"]


def test_freshness_is_missed_of_each_topic() -> None:
    assert f"< {len(TOPICS)}\n" in ALERTS["TillstreamFreshnessUnknown"]["expr"]


def test_names_have_their_forms_and_are_given_once() -> None:
    assert [name for name in RECORDS if not RECORDED_NAME.fullmatch(name)] == []
    assert [name for name in ALERTS if not ALERT_NAME.fullmatch(name)] == []
    assert len(RULES) == len(ALERTS) + len(RECORDS)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_it_is_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in SEVERITIES
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page = REPOSITORY / rule["annotations"]["runbook_url"]
    assert page.parent == PAGES
    assert f"`{alert}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("alert", ALERTS)
def test_what_an_alerts_sentences_fill_in_is_there(alert: str) -> None:
    rule = ALERTS[alert]
    asked = set(re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values())))
    asks_absent = {"job"} if "absent(" in rule["expr"] else set()
    assert asked <= named(rule["expr"]).labels | COMMON_LABELS | asks_absent | _labels_of(rule["expr"])


def _labels_of(expression: str) -> set[str]:
    """Of recorded series, which an alert may compare as they are."""
    recorded = recorded_labels()
    return {label for name in named(expression).metrics for label in recorded.get(name, ())}


def test_every_page_is_of_an_alert_and_shows_how_it_is_done_in_both_stacks() -> None:
    wanted = {Path(rule["annotations"]["runbook_url"]).name for rule in ALERTS.values()}
    pages = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    assert set(pages) == wanted | {"README.md"}
    for name in wanted:
        headings = re.findall(r"^## (.+)$", pages[name], re.MULTILINE)
        assert headings == ["What it means", "Where to look", "How to mend it", "When it is over"], name
        assert "docker compose" in pages[name], name
        assert re.search(r"\bmake \w+", pages[name]), name


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_firing_and_silent(alert: str) -> None:
    asked = [
        bool(each.get("exp_samples"))
        for test in TESTS
        for each in test.get("promql_expr_test", ())
        if f'alertname="{alert}"' in each["expr"] and 'alertstate="firing"' in each["expr"]
    ]
    assert set(asked) == {True, False}


@pytest.mark.parametrize("record", RECORDS)
def test_a_recording_rule_is_tested_with_a_value(record: str) -> None:
    asked = {
        each["expr"] for test in TESTS for each in test.get("promql_expr_test", ()) if each.get("exp_samples")
    }
    assert record in asked
