"""Which metrics and labels a PromQL expression names, and which of them nobody exposes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import promql_parser

from tillstream.observe.definitions import DEFINITIONS, Definition, Kind, Process

# What Prometheus itself puts on a series, what its rules make of one, and what a histogram has.
COMMON_LABELS = frozenset({"job", "instance", "__name__"})
FOREIGN: dict[str, frozenset[str]] = {
    "up": frozenset(),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
    "scrape_duration_seconds": frozenset(),
    "prometheus_rule_evaluation_failures_total": frozenset({"rule_group"}),
    "process_cpu_seconds_total": frozenset(),
    "process_max_fds": frozenset(),
    "process_open_fds": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "process_start_time_seconds": frozenset(),
    "process_virtual_memory_bytes": frozenset(),
}
HISTOGRAM_LABELS = {"_bucket": frozenset({"le"}), "_sum": frozenset(), "_count": frozenset()}
# Grafana's own variables stand where PromQL wants a duration; others stand within strings, which are not looked into.
DURATION = re.compile(
    r"\$(?:__rate_interval|__interval|__range|\{__rate_interval\}|\{__interval\}|\{__range\})"
)
LABEL_VALUES = re.compile(r"label_values\((?:(?P<metric>.+),)?\s*(?P<label>\w+)\)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Grouping:
    """An aggregation: the labels that it keeps, and the metrics that are under it."""

    labels: frozenset[str]
    metrics: frozenset[str]


@dataclass(slots=True)
class Named:
    """What an expression names. `jobs`: per metric the jobs that its selector admits by name; `groupings`: the outermost first."""

    metrics: dict[str, set[str]] = field(default_factory=dict)
    jobs: dict[str, set[str]] = field(default_factory=dict)
    matched: set[str] = field(default_factory=set)
    groupings: list[Grouping] = field(default_factory=list)

    @property
    def labels(self) -> set[str]:
        """Those that it groups and matches by."""
        return self.matched.union(*(each.labels for each in self.groupings))


def exposed_series() -> dict[str, frozenset[str]]:
    """Every series of the closed list by its name, with its labels."""
    return {name: labels for each in DEFINITIONS for name, labels in _series_of(each)}


def _series_of(definition: Definition) -> Iterator[tuple[str, frozenset[str]]]:
    own = frozenset(map(str, definition.labels))
    if definition.kind is not Kind.HISTOGRAM:
        yield definition.name, own
        return
    for suffix, more in HISTOGRAM_LABELS.items():
        yield definition.name + suffix, own | more


def named(expression: str) -> Named:
    """Raises ValueError for what is no PromQL."""
    found = Named()

    def visit(node: Any) -> None:
        match type(node).__name__:
            case "MatrixSelector":
                _note(node.vector_selector, found)
            case "VectorSelector":
                _note(node, found)
            case "AggregateExpr":
                labels = node.modifier.labels if node.modifier is not None else ()
                found.groupings.append(Grouping(frozenset(labels), frozenset(_under(node.expr))))
            case "BinaryExpr" if node.modifier is not None:
                matching = node.modifier.matching
                found.matched.update(matching.labels if matching is not None else ())
                found.matched.update(node.modifier.group_labels or ())

    promql_parser.walk(promql_parser.parse(asked(expression)), visit)
    return found


def asked(expression: str) -> str:
    """The expression as Prometheus may get it: with a duration where Grafana puts one in."""
    return DURATION.sub("5m", expression)


def _under(expression: Any) -> set[str]:
    names: set[str] = set()

    def visit(node: Any) -> None:
        if type(node).__name__ == "MatrixSelector":
            visit(node.vector_selector)
        elif type(node).__name__ == "VectorSelector":
            names.add(_name(node))

    promql_parser.walk(expression, visit)
    return names


def _name(selector: Any) -> str:
    by_matcher = (each.value for each in selector.matchers.matchers if each.name == "__name__")
    return str(selector.name or next(by_matcher, ""))


def named_by_variable(query: str) -> Named:
    """The same for the query of a dashboard's variable."""
    values = LABEL_VALUES.fullmatch(query)
    if values is None:
        return named(query)
    found = named(values["metric"]) if values["metric"] else Named()
    found.matched.add(values["label"])
    return found


def _note(selector: Any, found: Named) -> None:
    matchers = selector.matchers.matchers
    name = _name(selector)
    found.metrics.setdefault(name, set()).update(each.name for each in matchers)
    found.jobs.setdefault(name, set()).update(
        job
        for each in matchers
        if each.name == "job" and "$" not in each.value
        for job in each.value.split("|")
    )


def problems(found: Named, recorded: dict[str, frozenset[str]]) -> list[str]:
    """One sentence for every name that nothing exposes; `recorded` are the names that rules make, with their labels."""
    known = exposed_series() | FOREIGN | recorded
    said = [f"nothing exposes {name!r}" for name in found.metrics if name not in known]
    reachable = set(COMMON_LABELS)
    for name, matched in found.metrics.items():
        labels = known.get(name, frozenset()) | COMMON_LABELS
        reachable |= labels
        said += [f"{name} has no label {label!r}" for label in sorted(matched - labels)]
        said += _not_served(name, found.jobs[name])
    said += [f"no metric in it has the label {label!r}" for label in sorted(found.matched - reachable)]
    return said + sorted({each for grouping in found.groupings for each in _not_kept(grouping, known)})


def _not_kept(grouping: Grouping, known: dict[str, frozenset[str]]) -> Iterator[str]:
    """Each metric under an aggregation must have all of its labels: one that has not would vanish into a series of its own."""
    for name in grouping.metrics & known.keys():
        for label in grouping.labels - known[name] - COMMON_LABELS:
            yield f"{name} is grouped by the label {label!r}, which it has not"


def _not_served(name: str, jobs: set[str]) -> Iterator[str]:
    definition = next((each for each in DEFINITIONS if name.startswith(each.name)), None)
    for job in sorted(jobs):
        if job not in {*Process, "prometheus"}:
            yield f"there is no job {job!r}"
        elif definition is not None and job not in definition.processes:
            yield f"{job} does not serve {name}"
