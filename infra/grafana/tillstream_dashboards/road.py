"""The dashboard "the road": what goes through the system now, how fast, and where it is held up. From Prometheus."""

from tillstream_dashboards import road_doors, road_parts, road_tables
from tillstream_dashboards.model import PROMETHEUS, Json, dashboard

UID = "tillstream-road"
RANGES = (
    ("Last 5 minutes", "now-5m", "now"),
    ("Last 15 minutes", "now-15m", "now"),
    ("Last hour", "now-1h", "now"),
    ("Last 6 hours", "now-6h", "now"),
    ("Last 24 hours", "now-24h", "now"),
    ("Last 7 days", "now-7d", "now"),
)


def make() -> Json:
    """The whole dashboard."""
    return dashboard(
        uid=UID,
        title="The road",
        says="What goes through the system, how fast, and where it is held up: doors, broker, worker, files, processes.",
        rows=(
            road_parts.ALARMS,
            road_doors.DOORS,
            road_doors.BROKER,
            road_tables.WORKER,
            road_tables.REFUSED,
            road_tables.FILES,
            road_parts.PROCESSES,
        ),
        time=("now-1h", "now"),
        refresh="10s",
        timezone="browser",
        ranges=RANGES,
        variables=(_processes(),),
    )


def _processes() -> Json:
    question = "label_values(up, job)"
    return {
        "type": "query",
        "name": "process",
        "label": "Process",
        "description": "Whose memory, processor time and restarts are shown.",
        "datasource": PROMETHEUS,
        "query": {"qryType": 1, "query": question, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "refresh": 2,
        "sort": 1,
    }
