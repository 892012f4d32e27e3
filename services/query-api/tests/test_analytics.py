"""The four analytics as HTTP answers: the seed's fields, defaults, exact numbers. What they count is tested with the SQL."""

import pytest

from tillstream.testing.shop_rows import ShopRows

from .conftest import Api

pytestmark = pytest.mark.integration


def _without_freshness(text: str) -> str:
    return text.partition(',"freshness"')[0] + "}"


async def test_daily_revenue_is_answered_as_the_seed_shows_it(api: Api, rows: ShopRows) -> None:
    rows.order(1, "2024-01-20T10:30:00Z", "1329.98")
    rows.order(2, "2024-01-19T10:30:00Z", "5.00")
    response = await api.client.get("/metrics/daily-revenue?from=2024-01-01&to=2024-12-31")
    assert _without_freshness(response.text) == (
        '{"daily_revenue":[{"order_day":"2024-01-20","daily_revenue":1329.98,"total_orders":1},'
        '{"order_day":"2024-01-19","daily_revenue":5.00,"total_orders":1}]}'
    )


async def test_top_products_are_answered_as_the_seed_shows_them(api: Api, rows: ShopRows) -> None:
    rows.product(1, "Laptop Pro 15", "Electronics")
    rows.order(1, "2024-01-20T10:30:00Z", items=[(1, 3, "1299.99")])
    response = await api.client.get("/products/top?days=365&limit=5&as_of=2024-12-31")
    assert _without_freshness(response.text) == (
        '{"top_products":[{"product_id":1,"product_name":"Laptop Pro 15","category":"Electronics",'
        '"total_units_sold":3,"total_revenue":3899.97}]}'
    )


async def test_retention_names_its_fields(api: Api, rows: ShopRows) -> None:
    for user_id in (11, 12, 13):
        rows.user(user_id, "2024-12-03T12:00:00Z")
    rows.event(11, "2024-12-10T12:00:00Z")
    rows.user(14, "2024-12-24T12:00:00Z")
    response = await api.client.get("/metrics/retention?from=2024-12-01&to=2024-12-31")
    # Today is 31 December, the day 7 of those who came on the 24th, and not over yet.
    assert _without_freshness(response.text) == (
        '{"retention":[{"signup_day":"2024-12-24","total_signups":1,"returned_users":0,"retention_percentage":0.00,'
        '"complete":false},{"signup_day":"2024-12-03","total_signups":3,"returned_users":1,'
        '"retention_percentage":33.33,"complete":true}]}'
    )


async def test_the_funnel_names_its_stages_and_says_null_where_it_would_divide_by_zero(
    api: Api, rows: ShopRows
) -> None:
    rows.event(1, "2024-05-01T12:00:00Z", "page_view")
    response = await api.client.get("/metrics/funnel")
    assert _without_freshness(response.text) == (
        '{"funnel":[{"stage":"page_view","count":1,"conversion_rate_from_previous":100.00,'
        '"conversion_rate_from_start":100.00},{"stage":"add_to_cart","count":0,"conversion_rate_from_previous":0.00,'
        '"conversion_rate_from_start":0.00},{"stage":"purchase","count":0,"conversion_rate_from_previous":null,'
        '"conversion_rate_from_start":0.00}]}'
    )


async def test_without_a_range_the_last_thirty_days_are_shown(api: Api, rows: ShopRows) -> None:
    # Today is 31 December: the thirty days begin on the 2nd.
    for order_id, day in enumerate(("12-01", "12-02", "12-31"), start=1):
        rows.order(order_id, f"2024-{day}T01:00:00Z")
    for user_id, day in ((11, "12-01"), (12, "12-02"), (13, "12-31")):
        rows.user(user_id, f"2024-{day}T01:00:00Z")
    revenue = await api.get("/metrics/daily-revenue")
    assert [day["order_day"] for day in revenue["daily_revenue"]] == ["2024-12-31", "2024-12-02"]
    retention = await api.get("/metrics/retention")
    assert [day["signup_day"] for day in retention["retention"]] == ["2024-12-31", "2024-12-02"]


async def test_one_end_of_a_range_leaves_the_other_at_its_default(api: Api, rows: ShopRows) -> None:
    for order_id, day in enumerate(("10-01", "10-02", "10-31", "11-01", "12-31"), start=1):
        rows.order(order_id, f"2024-{day}T01:00:00Z")
    until = await api.get("/metrics/daily-revenue", to="2024-10-31")
    assert [day["order_day"] for day in until["daily_revenue"]] == ["2024-10-31", "2024-10-02"]
    since = await api.client.get("/metrics/daily-revenue?from=2024-10-31")
    assert [day["order_day"] for day in since.json()["daily_revenue"]] == [
        "2024-12-31",
        "2024-11-01",
        "2024-10-31",
    ]


async def test_top_products_look_back_seven_days_from_today_and_show_five(api: Api, rows: ShopRows) -> None:
    # The seven days up to 31 December begin on the 25th.
    for product_id in range(1, 8):
        rows.product(product_id)
        rows.order(product_id, "2024-12-25T01:00:00Z", items=[(product_id, 1, f"{product_id}.00")])
    rows.order(8, "2024-12-24T23:00:00Z", items=[(1, 1, "99.00")])
    top = (await api.get("/products/top"))["top_products"]
    assert [product["product_id"] for product in top] == [7, 6, 5, 4, 3]


async def test_the_longest_range_is_ten_years_and_a_week(api: Api) -> None:
    # 2010-01-01 plus 3659 days is 2020-01-08: 3660 days with both ends.
    longest = await api.client.get("/metrics/daily-revenue?from=2010-01-01&to=2020-01-08")
    assert longest.status_code == 200
    longer = await api.client.get("/metrics/daily-revenue?from=2010-01-01&to=2020-01-09")
    assert longer.status_code == 422
    assert "from" in longer.json()["detail"]
