"""What a dashboard of ours must keep beyond Grafana's schema: functions from a dashboard to what is wrong with it."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

GRAFANA = Path(__file__).parents[1]
ROOT = GRAFANA.parents[1]
GRID_COLUMNS = 24
LEAST_DESCRIPTION_CHARS = 30
REFRESH = ("10s", "30s")
RUNBOOK = re.compile(r"Runbook: (\S+)")
TABLE = re.compile(r"\b(?:FROM|JOIN)\s+(?!api\.)(\w[\w.]*)\b(?!\s*\()", re.IGNORECASE)
VARIABLE = re.compile(r"\$\{?([a-z]\w*)\}?")
OURS_OF_GRAFANA = frozenset({"__rate_interval", "__interval", "__timeFrom", "__timeTo", "__timeFilter"})
IN_FUNCTION = re.compile(r"(?:extract\(epoch|EXTRACT\(EPOCH)\s+FROM\s+", re.IGNORECASE)

type Json = dict[str, Any]


def units() -> frozenset[str]:
    """The ids of Grafana's units."""
    found = json.loads((GRAFANA / "schema" / "units.json").read_text(encoding="utf-8"))
    return frozenset(found["units"])


def data_sources() -> dict[str, str]:
    """The type of each provisioned data source, by its uid."""
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/tillstream.yaml").read_text("utf-8"))
    return {each["uid"]: each["type"] for each in provisioned["datasources"]}


def panels(dashboard: Json) -> list[Json]:
    """The panels without the headings between them."""
    return [each for each in dashboard["panels"] if each["type"] != "row"]


def problems(dashboard: Json) -> list[str]:
    """Everything that is wrong, one sentence each."""
    found = [*_of_the_whole(dashboard), *_of_the_grid(dashboard["panels"])]
    for panel in panels(dashboard):
        named = f"{panel['title'] or panel['id']}:"
        found += [f"{named} {each}" for each in (*_of_words(panel), *_of_fields(panel), *_of_targets(panel))]
    return found


def _of_the_whole(dashboard: Json) -> Iterator[str]:
    ids = [panel["id"] for panel in dashboard["panels"]]
    yield from (f"two panels have the id {each}" for each in sorted(set(ids)) if ids.count(each) > 1)
    titles = [panel["title"] for panel in panels(dashboard)]
    yield from (f"two panels are called {each!r}" for each in sorted(set(titles)) if titles.count(each) > 1)
    if dashboard["refresh"] not in REFRESH:
        yield f"it is refreshed every {dashboard['refresh']}, not every 10 to 30 s"
    declared = {each["name"] for each in dashboard["templating"]["list"]}
    used = set(VARIABLE.findall(json.dumps([each["targets"] for each in panels(dashboard)])))
    yield from (f"${each} is not declared" for each in sorted(used - declared))
    yield from (f"${each} is not used" for each in sorted(declared - used))


def _of_the_grid(placed: Iterable[Json]) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in placed:
        place = panel["gridPos"]
        if place["x"] < 0 or place["x"] + place["w"] > GRID_COLUMNS:
            yield f"{panel['title']} reaches out of the grid"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if taken.setdefault((x, y), panel["title"]) != panel["title"]:
                    yield f"{panel['title']} lies on {taken[x, y]}"
                    return


def _of_words(panel: Json) -> Iterator[str]:
    if not panel["title"]:
        yield "it has no title"
    said = panel["description"]
    if len(said) < LEAST_DESCRIPTION_CHARS:
        yield "its description does not say what it means"
    named = RUNBOOK.search(said)
    if named and not (ROOT / named[1]).is_file():
        yield f"its runbook {named[1]} does not exist"


def _of_fields(panel: Json) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults.get("noValue"):
        yield "it does not say that there is nothing to show"
    asked = [defaults.get("unit")]
    asked += [
        each["value"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "unit"
    ]
    yield from (f"Grafana knows no unit {each!r}" for each in asked if each not in units())
    steps = [step["value"] for step in defaults["thresholds"]["steps"]]
    if steps[:1] != [None] or None in steps[1:] or steps[1:] != sorted(set(steps[1:])):
        yield f"its thresholds {steps} do not rise"


def _of_targets(panel: Json) -> Iterator[str]:
    known = data_sources()
    references = [target["refId"] for target in panel["targets"]]
    if not references or len(set(references)) < len(references):
        yield f"its questions are called {references}"
    for target in panel["targets"]:
        source = target["datasource"]
        if known.get(source["uid"]) != source["type"]:
            yield f"no data source {source} is provisioned"
        if source != panel["datasource"]:
            yield "its questions go to more than one data source"
        asked = target.get("rawSql") or target.get("expr")
        if not asked:
            yield "it asks nothing"
        tables = TABLE.findall(IN_FUNCTION.sub("epoch ", target.get("rawSql", "")))
        yield from (f"it reads {each}, which is not of `api`" for each in tables)
