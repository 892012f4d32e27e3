"""The kinds of panel that the dashboards are made of, each with the options that Grafana would save for it."""

from collections.abc import Sequence
from typing import Any

from tillstream_dashboards.model import POSTGRES, PROMETHEUS, Json, Panel

STAT_SIZE = (4, 4)
LINES_SIZE = (8, 8)
TABLE_SIZE = (12, 8)


def sql(statement: str, *, over_time: bool = False) -> Json:
    """A question to PostgreSQL. Over time, it has a column `time`, and the others are series."""
    return {
        "datasource": POSTGRES,
        "editorMode": "code",
        "format": "time_series" if over_time else "table",
        "rawQuery": True,
        "rawSql": statement,
    }


def promql(expression: str, legend: str = "__auto") -> Json:
    """A question to Prometheus over the range of the dashboard; `legend` names each series."""
    return {
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": expression,
        "format": "time_series",
        "instant": False,
        "legendFormat": legend,
        "range": True,
    }


def promql_now(expression: str, legend: str = "__auto", *, as_table: bool = False) -> Json:
    """A question to Prometheus about the end of the range alone."""
    return {
        **promql(expression, legend),
        "format": "table" if as_table else "time_series",
        "instant": True,
        "range": False,
    }


def stat(title: str, unit: str, says: str, *targets: Json, no_data: str, **more: Any) -> Panel:
    """One big number per series."""
    width, height = more.pop("size", STAT_SIZE)
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
        "textMode": more.pop("text", "auto"),
        "wideLayout": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return Panel("stat", title, unit, says, targets, no_data, width, height, options=options, **more)


def lines(title: str, unit: str, says: str, *targets: Json, no_data: str, **more: Any) -> Panel:
    """Lines over time; `stacked` fills and stacks them, `bars` draws bars instead."""
    width, height = more.pop("size", LINES_SIZE)
    stacked, bars = more.pop("stacked", False), more.pop("bars", False)
    custom: Json = {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 80 if bars else (25 if stacked else 5),
        "showPoints": "never",
        "spanNulls": False,
        "axisPlacement": "auto",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if more.get("steps") else "off"},
    }
    options = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    more.setdefault("least", 0)
    return Panel(
        "timeseries",
        title,
        unit,
        says,
        targets,
        no_data,
        width,
        height,
        custom=custom,
        options=options,
        **more,
    )


def table(title: str, unit: str, says: str, *targets: Json, no_data: str, **more: Any) -> Panel:
    """Rows and columns as the question answers them."""
    width, height = more.pop("size", TABLE_SIZE)
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False}
    options = {"cellHeight": "sm", "showHeader": True}
    return Panel(
        "table", title, unit, says, targets, no_data, width, height, custom=custom, options=options, **more
    )


def gauges(title: str, unit: str, says: str, *targets: Json, no_data: str, value: str, **more: Any) -> Panel:
    """One horizontal bar per row of a table; `value` is the column that is drawn, the text column names the bar."""
    width, height = more.pop("size", LINES_SIZE)
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "valueMode": "color",
        "namePlacement": "auto",
        "showUnfilled": True,
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 300,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "reduceOptions": {"calcs": [], "fields": f"/^{value}$/", "values": True},
    }
    return Panel("bargauge", title, unit, says, targets, no_data, width, height, options=options, **more)


def columns(title: str, unit: str, says: str, *targets: Json, no_data: str, x: str, **more: Any) -> Panel:
    """Upright bars, one group for each value of the text column `x`."""
    width, height = more.pop("size", TABLE_SIZE)
    options = {
        "xField": x,
        "orientation": "vertical",
        "barWidth": 0.9,
        "groupWidth": 0.8,
        "fullHighlight": False,
        "showValue": "auto",
        "stacking": "none",
        "xTickLabelRotation": -45,
        "xTickLabelMaxLength": 12,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    custom = {"fillOpacity": 80, "lineWidth": 1, "axisPlacement": "auto"}
    return Panel(
        "barchart", title, unit, says, targets, no_data, width, height, custom=custom, options=options, **more
    )


def quantiles(metric: str, by: str, legend: str, filters: str = "") -> Sequence[Json]:
    """The median and the 99th per cent of a histogram, for each value of a label (or of all where `by` is empty)."""
    groups = ", ".join(filter(None, ("le", by)))
    rate = f"sum by ({groups}) (rate({metric}_bucket{filters}[$__rate_interval]))"
    return [
        promql(f"histogram_quantile({share}, {rate})", f"{name} {legend}".strip())
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]
