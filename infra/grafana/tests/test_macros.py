"""The test's own stand-in for Grafana's macros: what it puts in, and what it refuses as Grafana would."""

from datetime import UTC, datetime

import pytest

from .macros import Range, UnknownMacro, expanded

pytestmark = pytest.mark.unit

SHOWN = Range(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 31, 12, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("$__timeFrom()::timestamptz", "'2024-01-01T00:00:00Z'::timestamptz"),
        ("$__timeTo()", "'2024-01-31T12:30:00Z'"),
        (
            "WHERE $__timeFilter(created_at)",
            "WHERE created_at BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-31T12:30:00Z'",
        ),
        ("$__timeGroup(t,'5m')", "floor(extract(epoch from t)/300)*300"),
        ("LIMIT ${products}", "LIMIT 10"),
    ],
)
def test_macro_becomes_what_grafana_documents(written: str, asked: str) -> None:
    assert expanded(written, SHOWN, {"products": "10"}) == asked


@pytest.mark.parametrize("written", ["$__timeFrum()", "LIMIT ${how_many}", "$__timeGroup(t, 'daily')"])
def test_what_grafana_would_not_understand_is_refused(written: str) -> None:
    with pytest.raises(UnknownMacro):
        expanded(written, SHOWN, {"products": "10"})


def test_a_call_nested_in_a_macro_breaks_as_in_grafana() -> None:
    assert expanded("$__timeFilter(lower(t))", SHOWN, {}).startswith("lower(t BETWEEN")
