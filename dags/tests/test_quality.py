"""The quality tests on a copy of the shop's database in which no constraint holds: each turns red by its own defect alone."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from support.native import NativeStack

from tillstream_dags.build_views import build_views
from tillstream_dags.quality import CHECKS, Result, Run, Severity, measure

pytestmark = pytest.mark.integration

LIMITS = {"max_new_quarantined": 1, "max_lag_seconds": 60}
WARNINGS = {"order_totals_match_items"}  # two orders of the sample have shipping
ITEM = "INSERT INTO shop.order_items (order_id, order_item_id, product_id, quantity, unit_price, version)"
QUARANTINED = (
    "INSERT INTO shop.quarantine (message_id, content_hash, entity, reason, message, version, payload, source, accepted_at)"
    " SELECT gen_random_uuid(), ''::bytea, 'event', 'invalid_json', 'It is none.', ''::bytea, ''::bytea, 'shop', now()"
    " FROM generate_series(1, {})"
)
DEFECTS = [
    pytest.param("users_populated", "TRUNCATE shop.users", 0, id="no_users"),
    pytest.param("products_populated", "TRUNCATE shop.products CASCADE", 0, id="no_products"),
    pytest.param(
        "no_negative_order_amounts",
        "UPDATE shop.orders SET total_amount = -0.01 WHERE order_id = 3",
        1,
        id="negative",
    ),
    pytest.param("no_negative_order_amounts", "DELETE FROM shop.orders", 0, id="no_orders"),
    pytest.param(
        "event_types_valid",
        "UPDATE shop.events SET event_type = 'refund' WHERE event_id IN (SELECT event_id FROM shop.events LIMIT 2)",
        2,
        id="unknown_type",
    ),
    pytest.param("event_types_valid", "DELETE FROM shop.events", 0, id="no_events"),
    pytest.param("no_orphan_order_items", f"{ITEM} VALUES (999, 1, 1, 1, 1, '')", 1, id="item_without_order"),
    pytest.param(
        "no_orphan_order_items", f"{ITEM} VALUES (1, 99, 999, 1, 1, '')", 1, id="item_without_product"
    ),
    pytest.param("no_orphan_order_items", "DELETE FROM shop.order_items", 0, id="no_items"),
    pytest.param(
        "tables_are_fresh",
        "UPDATE shop.partition_progress SET measured_at = now() - interval '1 hour' WHERE kafka_partition = 2",
        None,
        id="worker_is_away",
    ),
    pytest.param(
        "tables_are_fresh",
        "UPDATE shop.partition_progress SET stopped_at = now() WHERE topic = 'shop.events.v1' AND kafka_partition = 2",
        0,
        id="stopped",
    ),
]


class Copy:
    """A copy that a test breaks as the superuser and measures as the DAG."""

    def __init__(self, dsn: str, superuser_dsn: str) -> None:
        self._dsn = dsn
        self._superuser_dsn = superuser_dsn

    def spoil(self, statement: str) -> None:
        with psycopg.connect(self._superuser_dsn) as connection:
            connection.execute(
                "SET session_replication_role = replica"
            )  # what keys are left do not hold either
            connection.execute(statement.encode())

    def measure(self, run_id: str = "first") -> dict[str, Result]:
        run = Run(measurement=uuid4(), run_id=run_id, attempt=1, limits=LIMITS)
        with psycopg.connect(self._dsn) as connection:
            return {result.check.name: result for result in measure(connection, run)}

    def kept(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._dsn) as connection:
            return connection.execute(
                "SELECT run_id, check_name, severity, passed, observed FROM reports.quality_results ORDER BY measured_at"
            ).fetchall()


@pytest.fixture
def copy(stack: NativeStack, unguarded: str) -> Copy:
    dsn = stack.dsn("tillstream_reports", unguarded)
    with psycopg.connect(dsn) as connection:
        build_views(connection)
    return Copy(dsn, stack.dsn("postgres", unguarded))


def failed(results: dict[str, Result]) -> set[str]:
    return {name for name, result in results.items() if not result.passed} - WARNINGS


def test_the_sample_passes_every_check_but_the_warning(copy: Copy) -> None:
    results = copy.measure()

    assert failed(results) == set()
    assert results["users_populated"].observed == 10
    assert results["products_populated"].observed == 15
    assert results["order_totals_match_items"].observed == 2


@pytest.mark.parametrize(("check", "defect", "observed"), DEFECTS)
def test_a_defect_is_seen_by_its_check_and_counted(
    copy: Copy, check: str, defect: str, observed: int | None
) -> None:
    copy.spoil(defect)

    results = copy.measure()

    assert check in failed(results)
    assert results[check].observed == (None if observed is None else Decimal(observed))


@pytest.mark.parametrize(
    "defect",
    [
        param.values[1]
        for param in DEFECTS
        if param.id in {"negative", "unknown_type", "item_without_order", "stopped"}
    ],
)
def test_one_wrong_row_fails_no_other_check(copy: Copy, defect: str) -> None:
    copy.spoil(defect)

    assert len(failed(copy.measure())) == 1


def test_an_empty_shop_fails_all_five(copy: Copy) -> None:
    copy.spoil("TRUNCATE shop.users, shop.products, shop.orders, shop.order_items, shop.events")

    assert failed(copy.measure()) == {
        "users_populated",
        "products_populated",
        "no_negative_order_amounts",
        "event_types_valid",
        "no_orphan_order_items",
    }


def test_what_was_found_is_kept_also_where_it_is_bad(copy: Copy) -> None:
    copy.spoil("UPDATE shop.orders SET total_amount = -1 WHERE order_id < 4")
    copy.measure("bad night")

    kept = copy.kept()
    assert {name for _, name, *_ in kept} == {check.name for check in CHECKS}
    assert ("bad night", "no_negative_order_amounts", "error", False, Decimal(3)) in kept
    assert ("bad night", "users_populated", "error", True, Decimal(10)) in kept
    assert {severity for *_, severity, _, _ in kept} == {Severity.ERROR, Severity.WARNING}


def test_a_growing_quarantine_raises_one_alarm(copy: Copy) -> None:
    copy.spoil(QUARANTINED.format(5))
    assert copy.measure("first")["quarantine_not_growing"].passed, "there is nothing to hold it against yet"
    copy.spoil(QUARANTINED.format(1))
    assert copy.measure("second")["quarantine_not_growing"].passed, "one more is within the limit"
    copy.spoil(QUARANTINED.format(2))
    assert not copy.measure("third")["quarantine_not_growing"].passed
    assert not copy.measure("third")["quarantine_not_growing"].passed, "a retry is no other run"
    assert copy.measure("fourth")["quarantine_not_growing"].passed


def test_a_lag_beyond_the_limit_is_not_fresh(copy: Copy) -> None:
    copy.spoil(
        "UPDATE shop.partition_progress SET log_end = next_offset + 5, complete_through = now() - interval '2 minutes'"
        " WHERE topic = 'shop.orders.v1' AND kafka_partition = 1"
    )

    result = copy.measure()["tables_are_fresh"]
    assert not result.passed
    assert result.observed is not None
    assert result.observed >= 120
