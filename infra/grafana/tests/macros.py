"""What Grafana puts in for the macros and variables of a question before it is asked, as its documentation has them.

A macro's arguments end at the first closing parenthesis, as in Grafana: a call nested in one breaks there and here alike.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_SPAN = re.compile(r"'?(\d+)(s|m|h|d|w)'?")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Range:
    """What the time picker says; both ends belong to it."""

    first: datetime
    last: datetime


class UnknownMacro(ValueError):
    """Grafana would show an error in the panel."""


def expanded(statement: str, shown: Range, variables: Mapping[str, str]) -> str:
    """The statement that PostgreSQL gets. Raises UnknownMacro for a macro or variable that nobody defined."""
    with_values = _VARIABLE.sub(lambda found: _value(found, variables), statement)
    return _MACRO.sub(
        lambda found: _macro(found[1], [each.strip() for each in found[2].split(",")], shown), with_values
    )


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name = found[1] or found[2]
    if name.startswith("__"):
        return found[0]
    if name not in variables:
        raise UnknownMacro(f"no variable {name!r} is declared")
    return variables[name]


def _macro(name: str, arguments: list[str], shown: Range) -> str:
    first, last = _literal(shown.first), _literal(shown.last)
    match name:
        case "__timeFilter":
            return f"{arguments[0]} BETWEEN {first} AND {last}"
        case "__timeFrom":
            return first
        case "__timeTo":
            return last
        case "__timeGroup" | "__timeGroupAlias":
            seconds = _seconds(arguments[1])
            group = f"floor(extract(epoch from {arguments[0]})/{seconds})*{seconds}"
            return f'{group} AS "time"' if name.endswith("Alias") else group
        case _:
            raise UnknownMacro(f"Grafana knows no macro {name!r} for PostgreSQL that our dashboards use")


def _literal(moment: datetime) -> str:
    return f"'{moment.astimezone(UTC).isoformat().replace('+00:00', 'Z')}'"


def _seconds(span: str) -> int:
    found = _SPAN.fullmatch(span)
    if not found:
        raise UnknownMacro(f"{span} is no span of time")
    return int(found[1]) * _SECONDS[found[2]]
