"""Writes the dashboards that Grafana reads. May be repeated; what is there is replaced."""

import json
from pathlib import Path

from tillstream_dashboards import road, shop
from tillstream_dashboards.model import Json

FOLDER = Path(__file__).parents[1] / "dashboards"
MADE = {"shop.json": shop.make, "road.json": road.make}


def as_text(dashboard: Json) -> str:
    """The file's text: the same for the same dashboard."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, make in MADE.items():
        (FOLDER / name).write_text(as_text(make()), encoding="utf-8")
