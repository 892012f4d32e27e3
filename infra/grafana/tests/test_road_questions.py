"""The questions of "the road" without a Prometheus: each parses, and names its series by labels that it keeps.

That what they name and group by is there at all is asked of every dashboard beside the rules of Prometheus.
"""

import json
import re

import pytest

from support.promql import asked, named

from .rules import GRAFANA, Json, panels

pytestmark = pytest.mark.unit

PROCESS = "$process"  # Grafana puts the dashboard's choice there
LEGEND_LABEL = re.compile(r"\{\{(\w+)\}\}")


def road() -> Json:
    found: Json = json.loads((GRAFANA / "dashboards" / "road.json").read_text(encoding="utf-8"))
    return found


TARGETS = [
    pytest.param(target, id=f"{panel['title']}-{target['refId']}")
    for panel in panels(road())
    for target in panel["targets"]
]


def unnamed(expression: str, legend: str) -> set[str]:
    """Labels that a legend shows although the outermost aggregation does not keep them."""
    groupings = named(expression).groupings
    return set(LEGEND_LABEL.findall(legend)) - groupings[0].labels if groupings else set()


@pytest.mark.parametrize("target", TARGETS)
def test_question_names_its_series_by_labels_that_it_keeps(target: Json) -> None:
    assert unnamed(target["expr"], target["legendFormat"]) == set()
    assert "$" not in asked(target["expr"]).replace(PROCESS, "")


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
        named(expression)


def test_planted_label_of_a_legend_is_found() -> None:
    assert unnamed("sum by (topic) (tillstream_partition_stopped)", "{{topic}} {{partition}}") == {
        "partition"
    }
