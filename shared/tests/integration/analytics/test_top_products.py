"""Top products on data whose answers were worked out by hand."""

import pytest

from .conftest import Shop

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def products(shop: Shop) -> None:
    for product_id in (1, 2, 3, 4):
        shop.rows.product(product_id)


def test_units_and_revenue_come_from_the_items(shop: Shop) -> None:
    # The orders' totals hold shipping and say nothing about products.
    shop.rows.order(1, "2024-05-01T12:00Z", "999.00", items=[(1, 2, "19.99"), (2, 1, "100.00")])
    shop.rows.order(2, "2024-05-02T12:00Z", "999.00", items=[(1, 3, "20.01"), (3, 7, "0.01")])
    # 1: 2 x 19.99 + 3 x 20.01 = 39.98 + 60.03 = 100.01; 2: 100.00; 3: 0.07; product 4 was never sold.
    assert shop.top(7, 10, "2024-05-02") == [(1, "5", "100.01"), (2, "1", "100.00"), (3, "7", "0.07")]


def test_equal_products_come_in_the_order_of_their_ids(shop: Shop) -> None:
    shop.rows.order(
        1, "2024-05-01T12:00Z", items=[(3, 1, "6.00"), (1, 3, "2.00"), (4, 1, "7.00"), (2, 2, "3.00")]
    )
    # 4 earned 7.00; 1, 2 and 3 earned 6.00 each.
    assert [product for product, *_ in shop.top(1, 10, "2024-05-01")] == [4, 1, 2, 3]
    assert [product for product, *_ in shop.top(1, 2, "2024-05-01")] == [4, 1]


def test_only_paid_orders_count(shop: Shop) -> None:
    for order_id, status in enumerate(("paid", "pending", "cancelled", "shipped"), start=1):
        shop.rows.order(order_id, "2024-05-01T12:00Z", status=status, items=[(1, 1, "5.00")])
    assert shop.top(1, 10, "2024-05-01") == [(1, "1", "5.00")]


def test_the_days_end_with_as_of_and_include_it(shop: Shop) -> None:
    for order_id, day in enumerate(("04-28", "04-29", "05-01", "05-02"), start=1):
        shop.rows.order(order_id, f"2024-{day}T12:00Z", items=[(order_id, 1, "1.00")])
    # Three days up to 1 May are 29 and 30 April and 1 May.
    assert [product for product, *_ in shop.top(3, 10, "2024-05-01")] == [2, 3]
    assert shop.top(1, 10, "2024-04-30") == []


def test_names_and_categories_are_the_products_own(shop: Shop) -> None:
    shop.rows.product(9, "Laptop Pro 15", "Electronics")
    shop.rows.order(1, "2024-05-01T12:00Z", items=[(9, 3, "1299.99")])
    found = shop.ask("SELECT * FROM api.top_products(1, 1, '2024-05-01')")
    assert [tuple(map(str, row)) for row in found] == [("9", "Laptop Pro 15", "Electronics", "3", "3899.97")]


def test_the_largest_quantity_at_the_largest_price_is_exact(shop: Shop) -> None:
    shop.rows.order(1, "2024-05-01T12:00Z", items=[(1, 2**63 - 1, "9999999999.99"), (1, 2**63 - 1, "0.00")])
    # 9223372036854775807 x 9999999999.99 = 9223372036854775807 x 10^10 - 9223372036854775807 / 100
    revenue = str(9223372036854775807 * 999999999999)
    assert shop.top(1, 1, "2024-05-01") == [(1, str(2 * (2**63 - 1)), f"{revenue[:-2]}.{revenue[-2:]}")]
