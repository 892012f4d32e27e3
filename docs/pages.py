"""Writes `settings.md`, `metrics.md`, `contracts.md` and the list of all variables from the code: `python docs/pages.py`. A test fails when they are not current."""  # noqa: INP001

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tillstream import cli
from tillstream.contracts.schemas import contracts_page
from tillstream.observe.definitions import BOUNDS, DEFINITIONS, Definition, Label
from tillstream.settings import FILE_SUFFIX, ServiceSettings, is_secret, variable
from tillstream.variables import PREFIX

DOCS = Path(__file__).parent
SERVICES = DOCS.parent / "services"
VARIABLES = DOCS.parent / "shared" / "src" / "tillstream" / "variables.txt"
VARIABLE = re.compile(rf"\b{PREFIX}[A-Z0-9_]+\b")
COMMON_TITLE = "Every process"
SETTINGS_HEAD = f"""\
# Settings

All settings are environment variables. A secret may also stand in a file: `<NAME>{FILE_SUFFIX}` is then the path, and one of
the two is set, not both. An empty variable counts as not set. A process that misses one, or does not understand
it, says so in one sentence and ends with exit code 78. Of a name that no process knows each process
warns once in its log, and names the one that looks most like it; a name that another process knows is no error. `make up` warns of it too. It hands those of its own environment to every process, and the stack's own ports, folders and secrets win ([how](../infra/native/README.md)).
This page is made by `python docs/pages.py`.
"""
DAGS = """\
## The nightly DAG

Read by its tasks from the environment of Airflow, which has a connection `tillstream_reports` besides ([how](../dags/README.md)).

| Variable | Default | Meaning |
| --- | --- | --- |
| `TILLSTREAM_INGEST_URL` | **required** | Where ingest-api is reached. |
| `TILLSTREAM_QUERY_URL` | **required** | Where query-api is reached. |
| `TILLSTREAM_DATA_DIR` | **required** | The directory with raw/, which is read, and output/, which is written. |
"""
STACKS = """\
## Around the processes

No process reads these.

| Variable | Meaning |
| --- | --- |
| `TILLSTREAM_DATA` | The data folder that `docker compose` mounts, in `.env`. |
| `TILLSTREAM_VERSION` | The tag of the images that `docker compose` builds and runs. |
| `TILLSTREAM_STACK` | Set by `make up` for every process that it starts: the state of its stack, by which `make down` finds what is left. |
"""
METRICS_HEAD = """\
# Metrics

Every process serves these, as far as they concern it, at `/metrics` on its ops port, and beside them Prometheus'
own `process_` figures (memory, CPU time, open files, start time). The list is closed: nothing else is exposed,
and every label has a bounded set of values. This page is made by `python docs/pages.py`.
"""


def pages() -> dict[Path, str]:
    """The text of every page that is made from the code."""
    return {
        DOCS / "settings.md": settings_page(),
        DOCS / "metrics.md": metrics_page(),
        DOCS / "contracts.md": contracts_page(),
        VARIABLES: variables(),
    }


def settings_page() -> str:
    """One table for what all processes know, then one for each that adds something."""
    parts = [SETTINGS_HEAD, _settings_table(COMMON_TITLE, ServiceSettings, {})]
    common = ServiceSettings.model_fields
    parts += [_settings_table(title, each, common) for title, each in _settings_classes()]
    parts += [DAGS, STACKS]
    return "\n".join(parts)


def variables() -> str:
    """The name of every variable on the page of the settings, for processes that are given one of another's."""
    return "".join(f"{name}\n" for name in sorted(set(VARIABLE.findall(settings_page()))))


def metrics_page() -> str:
    """Two tables: metrics and labels."""
    used = [label for label in Label if any(label in each.labels for each in DEFINITIONS)]
    return "\n".join(
        [
            METRICS_HEAD,
            _table(
                ["Metric", "Kind", "Labels", "Meaning", "Served by"],
                [_metric_row(each) for each in DEFINITIONS],
            ),
            "## Labels\n",
            _table(["Label", "Values"], [[f"`{label}`", BOUNDS[label]] for label in used]),
        ]
    )


def _settings_classes() -> Iterator[tuple[str, type[ServiceSettings]]]:
    sources = sorted(SERVICES.glob("*/src"))
    paths = [path.relative_to(source) for source in sources for path in sorted(source.rglob("settings.py"))]
    places = [".".join(path.with_suffix("").parts) for path in paths]
    places += sorted(
        module.name
        for module in pkgutil.walk_packages(cli.__path__, f"{cli.__name__}.")
        if module.name != f"{cli.__name__}.main"
    )
    for place in places:
        module = importlib.import_module(place)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, ServiceSettings) and value.__module__ == place:
                yield _title(value), value


def _title(settings: type[ServiceSettings]) -> str:
    package, *path = settings.__module__.split(".")
    if package == "tillstream":
        return f"`tillstream {path[1]}`"
    return (path[0] if len(path) > 1 else package).replace("_", "-")


def _settings_table(title: str, settings: type[ServiceSettings], known: dict[str, FieldInfo]) -> str:
    rows = [
        _setting_row(name, field)
        for name, field in settings.model_fields.items()
        if name not in known or known[name].default != field.default
    ]
    return f"## {title}\n\n" + _table(["Variable", "Default", "Meaning"], rows)


def _setting_row(name: str, field: FieldInfo) -> list[str]:
    meaning = field.description or ""
    if is_secret(field):
        meaning = f"Secret; `{variable(name)}{FILE_SUFFIX}` may name its file. {meaning}".rstrip()
    return [f"`{variable(name)}`", "**required**" if field.is_required() else _shown(field.default), meaning]


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr) or default is None or default in ("", ()):
        return "not set"
    return f"`{default}`"


def _metric_row(each: Definition) -> list[str]:
    labels = ", ".join(f"`{label}`" for label in each.labels)
    return [f"`{each.name}`", each.kind, labels, each.meaning, ", ".join(each.processes)]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
