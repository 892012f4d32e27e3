"""The questions of "the road" without a Prometheus: each parses, groups by labels that its metric has, and names its series by those."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser as promql
import pytest

from tillstream.observe.definitions import DEFINITIONS

from .rules import GRAFANA, Json, panels

pytestmark = pytest.mark.unit

# What Grafana puts in before it asks.
PUT_IN = {"$__rate_interval": "1m", "$process": ".*"}
FROM_THE_SCRAPE = frozenset({"job", "instance"})
LABELS = {each.name: frozenset(map(str, each.labels)) for each in DEFINITIONS}
HISTOGRAM_PART = re.compile(r"_(bucket|sum|count)$")
LEGEND_LABEL = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Grouping:
    """An aggregation: what it keeps, and the metrics that are under it."""

    labels: frozenset[str]
    metrics: tuple[str, ...]


def road() -> Json:
    found: Json = json.loads((GRAFANA / "dashboards" / "road.json").read_text(encoding="utf-8"))
    return found


TARGETS = [
    pytest.param(target, id=f"{panel['title']}-{target['refId']}")
    for panel in panels(road())
    for target in panel["targets"]
]


def asked(expression: str) -> str:
    """The expression as Prometheus gets it."""
    for name, value in PUT_IN.items():
        expression = expression.replace(name, value)
    return expression


def groupings(expression: str) -> Iterator[Grouping]:
    """Every aggregation of an expression, the outermost first. Raises ValueError where it does not parse."""
    found: list[promql.AggregateExpr] = []

    def collect(node: promql.Expr) -> None:
        if isinstance(node, promql.AggregateExpr):
            found.append(node)

    promql.walk(promql.parse(asked(expression)), collect)
    for each in found:
        labels = each.modifier.labels if each.modifier else []
        yield Grouping(frozenset(labels), tuple(metrics_under(each.expr)))


def metrics_under(expression: promql.Expr) -> list[str]:
    names: list[str] = []

    def collect(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector) and node.name:
            names.append(node.name)

    promql.walk(expression, collect)
    return names


def foreign_labels(expression: str) -> set[str]:
    """Labels that are grouped by although the metric has no such one; only for metrics of our list."""
    wrong: set[str] = set()
    for grouping in groupings(expression):
        for metric in grouping.metrics:
            base = HISTOGRAM_PART.sub("", metric)
            if base in LABELS:
                own = LABELS[base] | FROM_THE_SCRAPE | ({"le"} if metric != base else set())
                wrong |= grouping.labels - own
    return wrong


def unnamed(expression: str, legend: str) -> set[str]:
    """Labels that a legend shows although the outermost aggregation does not keep them."""
    outermost = next(groupings(expression), None)
    return set(LEGEND_LABEL.findall(legend)) - outermost.labels if outermost else set()


@pytest.mark.parametrize("target", TARGETS)
def test_question_parses_and_keeps_labels_that_are_there(target: Json) -> None:
    assert foreign_labels(target["expr"]) == set()
    assert unnamed(target["expr"], target["legendFormat"]) == set()
    assert "$" not in asked(target["expr"])


@pytest.mark.parametrize("target", TARGETS)
def test_question_is_about_an_end_or_about_a_range(target: Json) -> None:
    assert target["instant"] is not target["range"]
    assert target["format"] in ({"table", "time_series"} if target["instant"] else {"time_series"})


@pytest.mark.parametrize(
    "expression",
    [
        "sum(rate(tillstream_ready[5m])",
        "rate(tillstream_http_requests_total)",
        "sum by entity (up)",
        "max(a b)",
    ],
)
def test_planted_question_does_not_parse(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(groupings(expression))


def test_planted_labels_are_found() -> None:
    rate = "rate(tillstream_http_request_seconds_bucket[$__rate_interval])"
    assert foreign_labels(f"sum by (le, route, entity) ({rate})") == {"entity"}
    assert foreign_labels(f"histogram_quantile(0.5, sum by (le, route) ({rate}))") == set()
    assert unnamed("sum by (topic) (tillstream_partition_stopped)", "{{topic}} {{partition}}") == {
        "partition"
    }
