"""`run_data_quality_tests`: what is measured, and where the measurements are kept.

A check is a file under `sql/checks/` which gives one row: `observed`, a number that a person can look at, and `passed`.
Measuring never fails on bad data: everything is measured and kept first, and judged afterwards by what was kept.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from tillstream_dags.database import Connection, transaction
from tillstream_dags.sql_files import statement_of

RESULTS = "reports.quality_results"

_log = logging.getLogger(__name__)


class Severity(StrEnum):
    """An error stops the run; a warning is kept and logged."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Check:
    """`expectation` is what a person reads beside a failure, and says what the observed number counts."""

    name: str
    severity: Severity
    expectation: str


@dataclass(frozen=True, slots=True)
class Run:
    """Which run measures, the limits of its checks by name, and an id for this one measurement."""

    measurement: UUID
    run_id: str
    attempt: int
    limits: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """`passed` is false also where there was nothing to look at."""

    check: Check
    observed: Decimal | None
    passed: bool


CHECKS = (
    Check("users_populated", Severity.ERROR, "there are users (observed: how many)"),
    Check("products_populated", Severity.ERROR, "there are products (observed: how many)"),
    Check(
        "no_negative_order_amounts",
        Severity.ERROR,
        "there are orders, and none has an amount below zero or none at all (observed: how many have)",
    ),
    Check(
        "event_types_valid",
        Severity.ERROR,
        "there are events, and all are page_view, add_to_cart or purchase (observed: how many are not)",
    ),
    Check(
        "no_orphan_order_items",
        Severity.ERROR,
        "there are order items, and each has its order and its product (observed: how many lack one)",
    ),
    Check(
        "quarantine_not_growing",
        Severity.ERROR,
        "open quarantine entries grew by at most max_new_quarantined since the run before (observed: how many are open)",
    ),
    Check(
        "tables_are_fresh",
        Severity.ERROR,
        "no partition is stopped or unknown, and none is behind by more than max_lag_seconds (observed: the lag in seconds)",
    ),
    Check(
        "order_totals_match_items",
        Severity.WARNING,
        "an order's total is the sum of its items; shipping and discounts are legal (observed: how many differ)",
    ),
)


def measure(connection: Connection, run: Run, checks: Sequence[Check] = CHECKS) -> list[Result]:
    """Measure every check on one snapshot, keep what was found, and return it. May be repeated: each time is kept."""
    with transaction(connection, snapshot=True) as cursor:
        results = []
        for check in checks:
            cursor.execute(statement_of(f"checks/{check.name}.sql"), {**run.limits, "run_id": run.run_id})
            row = cursor.fetchone()
            assert row is not None, f"{check.name} gives one row whatever it finds"
            result = Result(check, row[0], passed=row[1] is True)
            cursor.execute(
                statement_of("keep_result.sql"),
                {
                    "measurement": str(run.measurement),
                    "run_id": run.run_id,
                    "attempt": run.attempt,
                    "check_name": check.name,
                    "severity": check.severity.value,
                    "passed": result.passed,
                    "observed": result.observed,
                    "expectation": check.expectation,
                },
            )
            results.append(result)
    for result in results:
        _tell(result)
    return results


def _tell(result: Result) -> None:
    level = logging.INFO
    if not result.passed:
        level = logging.ERROR if result.check.severity is Severity.ERROR else logging.WARNING
    verdict = "passed" if result.passed else "FAILED"
    check = result.check
    _log.log(level, "%s %s: %s; observed %s.", check.name, verdict, check.expectation, result.observed)
