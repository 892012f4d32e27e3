"""What is posted is found again, once."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from e2e.driver import Json, Shop, eventually, now

pytestmark = pytest.mark.e2e

EVENT: Json = {
    "user_id": 1,
    "event_type": "page_view",
    "product_id": 1,
    "event_timestamp": "2023-06-01T12:00:00Z",
}


async def funnel_counts(shop: Shop, day: str) -> dict[str, int]:
    stages = (await shop.get("/metrics/funnel", **{"from": day, "to": day}))["funnel"]
    return {stage["stage"]: stage["count"] for stage in stages}


async def test_a_posted_event_is_found_by_its_receipt_and_in_the_funnel(shop: Shop) -> None:
    event = {**EVENT, "event_timestamp": "2023-05-05T12:00:00Z"}
    [event_id] = (await shop.accept("events", [event]))["event_ids"]
    receipt = await shop.receipt(event_id)
    assert receipt["status"] == "stored"
    assert receipt["topic"] == "shop.events.v1"
    assert (await funnel_counts(shop, "2023-05-05"))["page_view"] == 1


async def test_an_event_is_found_under_the_id_that_its_source_gave_it(shop: Shop) -> None:
    name = f"web-{uuid4()}"
    for source in ("web", "app"):
        await shop.accept("events", [{**EVENT, "event_id": name}], source=source)
    web, app = [await shop.receipt(name, source) for source in ("web", "app")]
    assert (web["status"], app["status"]) == ("stored", "stored")
    assert web["event_id"] != app["event_id"]


async def test_a_mixed_batch_is_answered_item_by_item(shop: Shop) -> None:
    items = [
        EVENT,
        {**EVENT, "event_type": "page_veiw"},
        {**EVENT, "event_type": "purchase"},
        {**EVENT, "event_timestamp": "yesterday"},
        {**EVENT, "colour": "blue"},
        "not an object",
    ]
    response = await shop.post("events", items)
    answer = response.json()
    assert response.status_code == 202
    assert (answer["inserted"], answer["rejected"]) == (2, 4)
    refused = [(bad["index"], bad["reason"], bad["event"]) for bad in answer["invalid_events"]]
    assert refused == [
        (1, "invalid_event_type", items[1]),
        (3, "invalid_timestamp", items[3]),
        (4, "unknown_field", items[4]),
        (5, "invalid_record", items[5]),
    ]
    assert all(bad["message"] for bad in answer["invalid_events"])
    for event_id in answer["event_ids"]:
        assert (await shop.receipt(event_id))["status"] == "stored"


async def test_a_request_that_is_sent_again_under_its_key_counts_once(shop: Shop) -> None:
    event = {**EVENT, "event_timestamp": "2023-05-06T12:00:00Z"}
    key = str(uuid4())
    answers = [(await shop.post("events", [event, event], key=key)).json() for _ in range(3)]
    assert answers[0]["event_ids"] == answers[1]["event_ids"] == answers[2]["event_ids"]
    await shop.caught_up()
    assert (await funnel_counts(shop, "2023-05-06"))["page_view"] == 2


async def test_a_line_each_is_taken_as_well(shop: Shop) -> None:
    lines = b'{"user_id":1,"event_type":"purchase","event_timestamp":"2023-05-07T12:00:00Z"}\n\n{"user_id":\n'
    headers = {"content-type": "application/x-ndjson"}
    response = await shop.ingest.post("/ingest/events", content=lines, headers=headers)
    answer = response.json()
    assert (response.status_code, answer["inserted"], answer["rejected"]) == (202, 1, 1)
    assert answer["invalid_events"][0]["reason"] == "malformed_json"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"[{}]", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "text/plain", 415),
        (b"[" + b"{}," * 10_000 + b"{}]", "application/json", 413),
        (b'"' + b"x" * (8 * 1024 * 1024) + b'"', "application/json", 413),
    ],
    ids=["all bad", "empty", "not JSON", "not UTF-8", "another type", "too many", "too large"],
)
async def test_a_request_that_cannot_be_taken_says_why(
    running: Shop, body: bytes, content_type: str, status: int
) -> None:
    headers = {"content-type": content_type}
    response = await running.ingest.post("/ingest/events", content=body, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]


async def test_an_event_of_a_later_user_waits_for_the_user(shop: Shop) -> None:
    user_id = int(datetime.now(UTC).timestamp() * 1_000_000)
    [event_id] = (await shop.accept("events", [{**EVENT, "user_id": user_id}]))["event_ids"]
    receipt = await shop.receipt(event_id)
    assert (receipt["status"], receipt["waits_for"]) == ("parked", {"entity": "user", "id": user_id})
    user = {"user_id": user_id, "name": "Lou Late", "email": f"{user_id}@example.org", "signup_date": now()}
    await shop.accept("users", [user])

    async def stored() -> bool:
        return bool((await shop.receipt(event_id))["status"] == "stored")

    assert await eventually(stored)


async def test_revenue_falls_when_an_order_turns_from_paid_to_shipped(shop: Shop) -> None:
    day = "2023-05-08"
    item = {"order_item_id": 1, "product_id": 2, "quantity": 2, "unit_price": 29.99}
    order = {
        "order_id": int(datetime.now(UTC).timestamp() * 1_000_000),
        "user_id": 2,
        "order_date": f"{day}T09:00:00Z",
        "total_amount": 59.98,
        "items": [item],
    }

    async def change(status: str) -> list[Json]:
        await shop.accept("orders", [{**order, "status": status, "updated_at": now()}])

        async def changed() -> bool:
            response = await shop.query.get(f"/orders/{order['order_id']}")
            return response.status_code == 200 and bool(response.json()["status"] == status)

        assert await eventually(changed)
        days: list[Json] = (await shop.get("/metrics/daily-revenue", **{"from": day, "to": day}))[
            "daily_revenue"
        ]
        return days

    assert await change("pending") == []
    assert await change("paid") == [{"order_day": day, "daily_revenue": 59.98, "total_orders": 1}]
    assert await change("shipped") == []
    [found] = (await shop.get(f"/orders/{order['order_id']}"))["items"]
    assert (found["product_name"], found["subtotal"]) == ("Wireless Mouse", 59.98)


async def test_an_older_change_that_comes_late_changes_nothing(shop: Shop) -> None:
    order_id = int(datetime.now(UTC).timestamp() * 1_000_000)
    order = {"order_id": order_id, "user_id": 2, "order_date": "2023-05-09T09:00:00Z", "total_amount": 5}
    await shop.accept("orders", [{**order, "status": "shipped", "updated_at": "2023-05-11T09:00:00Z"}])
    await shop.caught_up()
    late = await shop.accept("orders", [{**order, "status": "paid", "updated_at": "2023-05-10T09:00:00Z"}])
    assert (await shop.receipt(late["message_ids"][0]))["status"] == "superseded"
    assert (await shop.get(f"/orders/{order_id}"))["status"] == "shipped"
