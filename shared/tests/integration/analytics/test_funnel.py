"""The order funnel on data whose answers were worked out by hand."""

import pytest

from .conftest import Shop

pytestmark = pytest.mark.integration


def _add(shop: Shop, day: str, views: int, carts: int, purchases: int) -> None:
    for kind, count in (("page_view", views), ("add_to_cart", carts), ("purchase", purchases)):
        for _ in range(count):
            shop.rows.event(1, f"{day}T12:00Z", kind)


def test_each_stage_is_compared_with_the_one_before_and_with_the_first(shop: Shop) -> None:
    _add(shop, "2024-05-01", 7, 3, 2)
    # 3 of 7 is 42.857 %, 2 of 3 is 66.667 %, 2 of 7 is 28.571 %.
    assert shop.funnel("2024-05-01", "2024-05-01") == [
        ("page_view", 7, "100.00", "100.00"),
        ("add_to_cart", 3, "42.86", "42.86"),
        ("purchase", 2, "66.67", "28.57"),
    ]


def test_more_than_all_is_more_than_a_hundred_per_cent(shop: Shop) -> None:
    _add(shop, "2024-05-01", 1, 2, 3)
    assert [row[2:] for row in shop.funnel(None, None)] == [
        ("100.00", "100.00"),
        ("200.00", "200.00"),
        ("150.00", "300.00"),
    ]


def test_what_would_divide_by_zero_is_null(shop: Shop) -> None:
    assert shop.funnel(None, None) == [
        ("page_view", 0, "100.00", "100.00"),
        ("add_to_cart", 0, None, None),
        ("purchase", 0, None, None),
    ]
    _add(shop, "2024-05-01", 4, 0, 1)
    # No cart at all: its own share is 0 of 4, but a purchase has nothing before it to be compared with.
    assert shop.funnel(None, None) == [
        ("page_view", 4, "100.00", "100.00"),
        ("add_to_cart", 0, "0.00", "0.00"),
        ("purchase", 1, None, "25.00"),
    ]


@pytest.mark.parametrize(
    ("first_day", "last_day", "views"),
    [
        (None, None, 15),
        ("2024-05-02", None, 14),
        (None, "2024-05-02", 3),
        ("2024-05-02", "2024-05-03", 6),
        ("2024-05-02", "2024-05-02", 2),
        ("2024-06-01", None, 0),
    ],
)
def test_either_end_may_be_left_out_and_both_are_included(
    shop: Shop, first_day: str | None, last_day: str | None, views: int
) -> None:
    # 1, 2, 4 and 8 views: every sum says which days are in it.
    for day, count in (("01", 1), ("02", 2), ("03", 4), ("04", 8)):
        _add(shop, f"2024-05-{day}", count, 0, 0)
    assert shop.funnel(first_day, last_day)[0][1] == views
