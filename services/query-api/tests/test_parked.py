"""What waits for its parent: each change, and the parents that are missing."""

from uuid import UUID, uuid4

import pytest

from query_api import parked
from tillstream.testing.shop_rows import ShopRows

from .conftest import Api

pytestmark = pytest.mark.integration


async def test_a_parked_change_says_what_it_waits_for_and_where_it_came_from(
    api: Api, rows: ShopRows
) -> None:
    message_id = rows.parked(
        entity="order", waits_key=17, topic="shop.orders.v1", kafka_partition=4, kafka_offset=310
    )
    answer = await api.get("/parked")
    [change] = answer["parked"]
    since = change.pop("parked_at")
    assert change == {
        "message_id": str(message_id),
        "entity": "order",
        "waits_for": {"entity": "user", "id": 17},
        "source": "shop",
        "topic": "shop.orders.v1",
        "partition": 4,
        "offset": 310,
        "job_id": None,
        "line": None,
        "accepted_at": "2024-01-01T00:00:00Z",
        "expires_at": "2024-01-01T00:00:00Z",
    }
    assert answer["missing"] == [{"waits_for": {"entity": "user", "id": 17}, "waiting": 1, "since": since}]
    assert answer["next_cursor"] is None


async def test_nothing_waits(api: Api) -> None:
    answer = await api.get("/parked")
    del answer["freshness"]
    assert answer == {"parked": [], "missing": [], "next_cursor": None}


async def test_the_parent_that_most_wait_for_comes_first(
    api: Api, rows: ShopRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, key, count in (("user", 1, 1), ("product", 1, 3), ("order", 5, 2)):
        for _ in range(count):
            rows.parked(waits_for=kind, waits_key=key)
    monkeypatch.setattr(parked, "MAX_PARENTS", 2)
    answer = await api.get("/parked", limit=1)
    assert [(each["waits_for"], each["waiting"]) for each in answer["missing"]] == [
        ({"entity": "product", "id": 1}, 3),
        ({"entity": "order", "id": 5}, 2),
    ]
    assert len(answer["parked"]) == 1


async def test_filters_hold_for_the_page_and_for_the_missing_parents(api: Api, rows: ShopRows) -> None:
    made = {
        (kind, key, source): str(rows.parked(waits_for=kind, waits_key=key, source=source))
        for kind in ("user", "product")
        for key in (1, 2)
        for source in ("shop", "acme")
    }
    for filters, wanted in (
        ({"waits_for": "user"}, {made[each] for each in made if each[0] == "user"}),
        ({"parent_id": 2}, {made[each] for each in made if each[1] == 2}),
        ({"source": "acme"}, {made[each] for each in made if each[2] == "acme"}),
        ({"waits_for": "user", "parent_id": 2, "source": "acme"}, {made["user", 2, "acme"]}),
        ({"source": "nobody"}, set[str]()),
    ):
        answer = await api.get("/parked", **filters)
        assert {each["message_id"] for each in answer["parked"]} == wanted, filters
        assert sum(each["waiting"] for each in answer["missing"]) == len(wanted), filters


async def test_pages_hold_every_change_once_those_of_a_parent_together(api: Api, rows: ShopRows) -> None:
    made = [
        (kind, key, str(rows.parked(message_id=uuid4(), waits_for=kind, waits_key=key)))
        for kind, key in (("user", 2), ("user", 1), ("product", 9), ("user", 2), ("order", 3), ("user", 2))
    ]
    pages = [await api.get("/parked", limit=2)]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(await api.get("/parked", limit=2, cursor=cursor))
    shown = [
        (each["waits_for"]["entity"], each["waits_for"]["id"], each["message_id"])
        for page in pages
        for each in page["parked"]
    ]
    assert shown == sorted(made, key=lambda each: (each[0], each[1], UUID(each[2])))
