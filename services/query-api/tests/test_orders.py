"""Orders: the seed's answer, pages, exact money."""

import pytest

from tillstream.testing.shop_rows import ShopRows

from .conftest import Api

pytestmark = pytest.mark.integration


async def test_an_order_is_answered_with_its_items_as_the_seed_shows_it(api: Api, rows: ShopRows) -> None:
    rows.product(1, "Laptop Pro 15", "Electronics")
    rows.product(2, "Wireless Mouse", "Electronics")
    rows.order(1, "2024-01-20T10:30:00Z", "1329.98", items=[(1, 1, "1299.99"), (2, 1, "29.99")])
    order = (
        '{"order_id":1,"order_date":"2024-01-20T10:30:00Z","status":"paid","total_amount":1329.98,"items":['
        '{"product_id":1,"product_name":"Laptop Pro 15","quantity":1,"unit_price":1299.99,"subtotal":1299.99},'
        '{"product_id":2,"product_name":"Wireless Mouse","quantity":1,"unit_price":29.99,"subtotal":29.99}]}'
    )
    listed = await api.client.get("/orders", params={"user_id": 1})
    assert (listed.status_code, listed.text) == (200, f'{{"orders":[{order}],"next_cursor":null}}')
    assert listed.headers["content-type"] == "application/json"
    single = await api.client.get("/orders/1")
    assert (single.status_code, single.text) == (200, order)


async def test_subtotals_are_exact_where_floats_are_not(api: Api, rows: ShopRows) -> None:
    rows.product(1, 'A "quoted" name, with é and \\')
    rows.order(1, "2024-01-20T10:30:00Z", "9999999999.99", items=[(1, 3, "9999999999.99"), (1, 0, "5.10")])
    text = (await api.client.get("/orders/1")).text
    assert '"total_amount":9999999999.99,' in text
    assert '"subtotal":29999999999.97}' in text
    assert '"quantity":0,"unit_price":5.10,"subtotal":0.00}' in text
    assert (await api.get("/orders/1"))["items"][0]["product_name"] == 'A "quoted" name, with é and \\'


async def test_an_order_without_items_has_an_empty_list(api: Api, rows: ShopRows) -> None:
    rows.order(1, "2024-01-20T10:30:00.123456Z")
    order = await api.get("/orders/1")
    assert (order["items"], order["order_date"]) == ([], "2024-01-20T10:30:00.123456Z")


async def test_only_the_orders_of_the_user_are_listed(api: Api, rows: ShopRows) -> None:
    rows.user(2)
    rows.order(1, "2024-01-20T10:30:00Z")
    rows.order(2, "2024-01-21T10:30:00Z", user_id=2)
    assert [order["order_id"] for order in (await api.get("/orders", user_id=2))["orders"]] == [2]
    assert [order["order_id"] for order in (await api.get("/orders"))["orders"]] == [2, 1]
    assert await api.get("/orders", user_id=3) == {"orders": [], "next_cursor": None}


@pytest.mark.parametrize("user_id", [None, 1])
async def test_pages_hold_every_order_once_newest_first(
    api: Api, rows: ShopRows, user_id: int | None
) -> None:
    # Five orders of one moment lie across the border of two pages.
    for order_id in range(1, 8):
        rows.order(order_id, "2024-01-20T10:30:00Z" if order_id < 6 else "2024-01-21T10:30:00Z")
    filters = {} if user_id is None else {"user_id": user_id}
    pages = [await api.get("/orders", limit=3, **filters)]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(await api.get("/orders", limit=3, cursor=cursor, **filters))
    assert [[order["order_id"] for order in page["orders"]] for page in pages] == [[7, 6, 5], [4, 3, 2], [1]]


async def test_a_last_page_that_is_full_has_no_cursor(api: Api, rows: ShopRows) -> None:
    for order_id in (1, 2):
        rows.order(order_id, "2024-01-20T10:30:00Z")
    assert (await api.get("/orders", limit=2))["next_cursor"] is None


async def test_orders_that_come_while_somebody_pages_move_nothing(api: Api, rows: ShopRows) -> None:
    for order_id in (1, 2, 3):
        rows.order(order_id, "2024-01-20T10:30:00Z")
    first = await api.get("/orders", limit=2)
    rows.order(4, "2024-01-25T10:30:00Z")
    second = await api.get("/orders", limit=2, cursor=first["next_cursor"])
    assert [order["order_id"] for order in first["orders"] + second["orders"]] == [3, 2, 1]


async def test_a_missing_order_is_a_problem(api: Api) -> None:
    response = await api.client.get("/orders/9223372036854775807")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "There is no order 9223372036854775807."
