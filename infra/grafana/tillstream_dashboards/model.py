"""Grafana's JSON model of a dashboard, as far as ours use it: panels by kind, and how they are laid out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = 41  # Grafana 12.0's; each 12.x takes it
GRID_COLUMNS = 24
ROW_HEIGHT = 1
RUNBOOKS = "docs/runbooks"

POSTGRES = {"type": "grafana-postgresql-datasource", "uid": "tillstream-postgres"}
PROMETHEUS = {"type": "prometheus", "uid": "tillstream-prometheus"}

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"

type Json = dict[str, Any]
type Step = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `steps` are the thresholds above the first colour; `no_data` is shown where there is nothing to show."""

    kind: str
    title: str
    unit: str
    says: str
    targets: Sequence[Json]
    no_data: str
    width: int
    height: int
    steps: Sequence[Step] = ()
    base: str = GREEN
    decimals: int | None = None
    runbook: str | None = None
    custom: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    mappings: Sequence[Json] = ()
    overrides: Sequence[Json] = ()
    least: float | None = None
    most: float | None = None
    transformations: Sequence[Json] = ()

    def as_json(self, number: int, x: int, y: int) -> Json:
        """The panel as Grafana reads it, at a place of the grid."""
        steps: list[Json] = [{"color": self.base, "value": None}]
        steps += [{"color": color, "value": value} for value, color in self.steps]
        defaults: Json = {
            "unit": self.unit,
            "noValue": self.no_data,
            "color": {"mode": "thresholds" if self.kind in {"stat", "bargauge"} else "palette-classic"},
            "thresholds": {"mode": "absolute", "steps": steps},
            "mappings": list(self.mappings),
        }
        if self.custom:
            defaults["custom"] = self.custom
        for name, value in (("decimals", self.decimals), ("min", self.least), ("max", self.most)):
            if value is not None:
                defaults[name] = value
        runbook = f" Runbook: {RUNBOOKS}/{self.runbook}" if self.runbook else ""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.says + runbook,
            "datasource": self.targets[0]["datasource"],
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": list(self.overrides)},
            "options": self.options,
            "targets": [{"refId": chr(ord("A") + place), **each} for place, each in enumerate(self.targets)],
            "transformations": list(self.transformations),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels under it, in reading order."""

    title: str
    panels: Sequence[Panel]


def laid_out(rows: Iterable[Row]) -> list[Json]:
    """Every row and panel with its number and place: from left to right, a new line where the width is used up."""
    placed: list[Json] = []
    y = 0
    for row in rows:
        placed.append(
            {
                "id": len(placed) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": GRID_COLUMNS, "h": ROW_HEIGHT},
                "panels": [],
            }
        )
        y += ROW_HEIGHT
        x = line = 0
        for panel in row.panels:
            if x + panel.width > GRID_COLUMNS:
                x, y, line = 0, y + line, 0
            placed.append(panel.as_json(len(placed) + 1, x, y))
            x, line = x + panel.width, max(line, panel.height)
        y += line
    return placed


def dashboard(
    *,
    uid: str,
    title: str,
    says: str,
    rows: Iterable[Row],
    time: tuple[str, str],
    refresh: str,
    timezone: str,
    ranges: Iterable[tuple[str, str, str]],
    variables: Sequence[Json],
) -> Json:
    """A whole dashboard; `ranges` are the time picker's short cuts as (name, from, to)."""
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": says,
        "tags": ["tillstream"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": timezone,
        "weekStart": "monday",
        "refresh": refresh,
        "time": {"from": time[0], "to": time[1]},
        "timepicker": {
            "refresh_intervals": ["10s", "30s", "1m", "5m"],
            "quick_ranges": [{"display": name, "from": first, "to": last} for name, first, last in ranges],
        },
        "templating": {"list": list(variables)},
        "annotations": {"list": []},
        "links": [_link_to_the_others()],
        "panels": laid_out(rows),
    }


def _link_to_the_others() -> Json:
    return {
        "type": "dashboards",
        "title": "Tillstream",
        "tags": ["tillstream"],
        "icon": "external link",
        "tooltip": "The other dashboards",
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": False,
    }


def of_field(name: str, **properties: object) -> Json:
    """An override for one column or series; a double underscore in a property's name stands for its dot."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


def texts(values: Mapping[str, tuple[str, str]]) -> list[Json]:
    """A value mapping: what is shown instead of a value, and in which colour."""
    shown = {
        value: {"text": text, "color": color, "index": place}
        for place, (value, (text, color)) in enumerate(values.items())
    }
    return [{"type": "value", "options": shown}]
