"""Daily revenue on data whose answers were worked out by hand."""

import pytest

from .conftest import Shop

pytestmark = pytest.mark.integration


def test_paid_orders_are_summed_by_day_newest_first(shop: Shop) -> None:
    shop.rows.order(1, "2024-05-01T00:00:00Z", "10.10")
    shop.rows.order(2, "2024-05-01T23:59:59.999999Z", "0.20")
    shop.rows.order(3, "2024-05-02T00:00:00Z", "1329.98")
    # 10.10 + 0.20 = 10.30 on the first; the second has one order.
    assert shop.revenue("2024-05-01", "2024-05-02") == [
        ("2024-05-02", "1329.98", 1),
        ("2024-05-01", "10.30", 2),
    ]


def test_only_paid_orders_count(shop: Shop) -> None:
    for order_id, status in enumerate(("paid", "pending", "cancelled", "shipped"), start=1):
        shop.rows.order(order_id, "2024-05-01T12:00:00Z", "5.00", status=status)
    assert shop.revenue("2024-05-01", "2024-05-01") == [("2024-05-01", "5.00", 1)]


def test_both_ends_are_included_and_days_without_revenue_have_no_row(shop: Shop) -> None:
    for order_id, day in enumerate(("04-30", "05-01", "05-03", "05-04"), start=1):
        shop.rows.order(order_id, f"2024-{day}T12:00:00Z")
    assert shop.revenue_days("2024-05-01", "2024-05-03") == [("2024-05-03", 1), ("2024-05-01", 1)]


def test_a_range_that_runs_backwards_is_empty(shop: Shop) -> None:
    shop.rows.order(1, "2024-05-01T12:00:00Z")
    assert shop.revenue("2024-05-02", "2024-05-01") == []


def test_the_largest_amounts_add_up_exactly(shop: Shop) -> None:
    # 3 x 9999999999.99 is more than a float or a numeric(12,2) holds exactly.
    for order_id in (1, 2, 3):
        shop.rows.order(order_id, "2024-05-01T12:00:00Z", "9999999999.99")
    assert shop.revenue("2024-05-01", "2024-05-01") == [("2024-05-01", "29999999999.97", 3)]
