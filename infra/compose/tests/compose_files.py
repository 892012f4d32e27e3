"""Reads Compose files as Compose does, as far as rules need it: merge keys, variables, `extends`, and one file on top of another."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
BASE = "compose.yaml"
REPLACED = frozenset(
    {"command", "entrypoint", "test"}
)  # lists that are one whole: Compose does not add to them
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?+])([^}]*))?\}")

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Instead:
    """A value under `!override` or `!reset`: it takes the place of what is below it, or takes that away."""

    value: Any


class _Loader(yaml.SafeLoader):
    """YAML with Compose's two tags."""


def _instead(loader: yaml.SafeLoader, node: yaml.Node) -> Instead:
    if isinstance(node, yaml.MappingNode):
        return Instead(loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return Instead(loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.ScalarNode)
    return Instead(loader.construct_scalar(node))


_Loader.add_constructor("!override", _instead)
_Loader.add_constructor("!reset", lambda _loader, _node: Instead(None))


def paths() -> list[Path]:
    """The Compose files of the repository, the base first."""
    return sorted(ROOT.glob("compose*.yaml"), key=lambda path: (path.name != BASE, path.name))


def parsed(text: str) -> Json:
    """A file by itself; merge keys are resolved."""
    found: Json = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with two more tags
    return found


def plain(value: Any) -> Any:
    """The same without Compose's tags, as the specification's schema knows it."""
    if isinstance(value, Instead):
        return plain(value.value) if value.value is not None else []
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def whole(base: Json, *on_top: Json) -> Json:
    """What Compose starts: files laid on each other, services extended, variables at their defaults."""
    laid = deepcopy(base)
    for each in on_top:
        laid = _merged(laid, each)
    services = laid.get("services", {})
    for name, service in services.items():
        below = service.pop("extends", None)
        if below:
            services[name] = _merged(base["services"][below["service"]], service)
    found: Json = plain(with_defaults(laid))
    return found


def with_defaults(value: Any) -> Any:
    """Every `${NAME:-default}` at its default; a variable without one stays as it is written."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: found[3] if found[2] == "-" else found[0], value)
    if isinstance(value, Mapping):
        return {name: with_defaults(each) for name, each in value.items()}
    if isinstance(value, Instead):
        return Instead(with_defaults(value.value))
    return [with_defaults(each) for each in value] if isinstance(value, list) else value


def _merged(below: Any, above: Any) -> Any:
    if isinstance(above, Instead):
        return deepcopy(above.value)
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        merged = {**deepcopy(below)}
        for name, value in above.items():
            is_laid = name in below and name not in REPLACED
            merged[name] = _merged(below[name], value) if is_laid else deepcopy(value)
        return {name: value for name, value in merged.items() if value is not None or name not in above}
    is_list = isinstance(below, Sequence) and not isinstance(below, str) and isinstance(above, list)
    return [*deepcopy(below), *above] if is_list else deepcopy(above)
