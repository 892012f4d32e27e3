"""Parts are killed and stopped while work goes on; a ledger of what was acknowledged says what must be there."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import httpx2
import pytest

from e2e.driver import Json, Shop, eventually, now

pytestmark = pytest.mark.e2e

BACKLOG_EVENTS = 50_000  # several batches of the worker
BATCH = 1_000
KILLS = 2
RECOVERS_WITHIN_S = 60


@dataclass
class Ledger:
    """The ids that a door acknowledged, under one source."""

    source: str = field(default_factory=lambda: f"ledger-{uuid4()}")
    events: set[UUID] = field(default_factory=set)
    orders: set[UUID] = field(default_factory=set)

    def batch(self, number: int) -> list[Json]:
        return [
            {
                "event_id": f"{number}-{index}",
                "user_id": index % 10 + 1,
                "event_type": "page_view",
                "product_id": index % 15 + 1,
                "event_timestamp": "2023-08-01T12:00:00Z",
            }
            for index in range(BATCH)
        ]


async def post_backlog(shop: Shop, ledger: Ledger) -> None:
    for number in range(BACKLOG_EVENTS // BATCH):
        answer = await shop.accept("events", ledger.batch(number), ledger.source)
        ledger.events |= {UUID(event_id) for event_id in answer["event_ids"]}
    first = int(uuid4()) % 10**12 + 10**12
    orders = [
        {
            "order_id": first + index,
            "user_id": index % 9 + 2,  # user 1 has one order, as the README says
            "order_date": "2023-08-01T12:00:00Z",
            "status": status,
            "total_amount": "10.00",
            "items": [{"order_item_id": 1, "product_id": 1, "quantity": 1, "unit_price": "10.00"}],
            "updated_at": now(),
        }
        for status in ("pending", "paid", "shipped")
        for index in range(BATCH // 2)
    ]
    answer = await shop.accept("orders", orders, ledger.source)
    ledger.orders |= {UUID(message_id) for message_id in answer["message_ids"]}


async def stored_events(shop: Shop, ledger: Ledger) -> int:
    [(count,)] = await shop.rows("SELECT count(*) FROM shop.events WHERE source = %s", ledger.source)
    return int(count)


async def check_ledger(shop: Shop, ledger: Ledger) -> None:
    """Every acknowledged id is in the tables once; nothing else came under this source, refused or waiting."""
    events = await shop.rows("SELECT event_id FROM shop.events WHERE source = %s", ledger.source)
    assert len(events) == len(ledger.events)
    assert {row[0] for row in events} == ledger.events
    changes = await shop.rows("SELECT message_id, outcome FROM shop.changes WHERE source = %s", ledger.source)
    assert {message_id for message_id, _ in changes} == ledger.orders
    assert {outcome for _, outcome in changes} <= {"stored", "superseded", "unchanged"}
    for statement in (
        "SELECT count(*) FROM shop.quarantine WHERE source = %s",
        "SELECT count(*) FROM shop.parked WHERE source = %s",
    ):
        assert await shop.rows(statement, ledger.source) == [(0,)]


async def all_ready(shop: Shop) -> bool:
    async with httpx2.AsyncClient(timeout=5) as client:
        for name in ("ingest-api", "query-api", "etl-worker", "file-watcher", "file-loader"):
            try:
                response = await client.get(f"{shop.stack.ops_url(name)}/health/ready")
            except httpx2.TransportError:
                return False
            if response.status_code != 200:
                return False
    return True


async def problems_of(shop: Shop, service: str) -> list[str]:
    """What a service that runs says it waits for; nothing where it is ready."""
    async with httpx2.AsyncClient(timeout=5) as client:
        response = await client.get(f"{shop.stack.ops_url(service)}/health/ready")
    assert response.status_code == (503 if response.json()["problems"] else 200)
    return list(response.json()["problems"])


async def test_a_worker_killed_in_a_backlog_loses_nothing_and_doubles_nothing(shop: Shop) -> None:
    ledger = Ledger()
    await asyncio.to_thread(shop.stack.stop, "etl-worker")
    await post_backlog(shop, ledger)
    await asyncio.to_thread(shop.stack.start, "etl-worker")
    for kill in range(KILLS):
        enough = (kill + 1) * BACKLOG_EVENTS // (2 * KILLS + 2)

        async def is_in_the_middle(enough: int = enough) -> bool:
            return await stored_events(shop, ledger) >= enough

        assert await eventually(is_in_the_middle, RECOVERS_WITHIN_S)
        killed = shop.stack.kill("etl-worker")
        assert await stored_events(shop, ledger) < BACKLOG_EVENTS

        async def there_is_another(killed: int = killed) -> bool:
            return shop.stack.pid("etl-worker") not in {None, killed}

        assert await eventually(there_is_another, RECOVERS_WITHIN_S)

    async def all_stored() -> bool:
        return await stored_events(shop, ledger) >= BACKLOG_EVENTS

    assert await eventually(all_stored, RECOVERS_WITHIN_S)
    await shop.caught_up(RECOVERS_WITHIN_S)
    await check_ledger(shop, ledger)


async def test_while_the_broker_is_away_the_door_says_so_and_the_same_request_succeeds_later(
    shop: Shop,
) -> None:
    ledger = Ledger()
    items = ledger.batch(0)
    await asyncio.to_thread(shop.stack.stop, "kafka")
    refused = await shop.post("events", items, ledger.source)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["inserted"] == 0
    assert (await shop.get("/orders/1"))["order_id"] == 1
    assert await eventually(lambda: problems_of(shop, "etl-worker"), RECOVERS_WITHIN_S) == ["kafka"]
    shop.drop(f"{ledger.source}.csv", b"product_id,product_name,category,price\n902,Patience,Test,1.00\n")
    await asyncio.to_thread(shop.stack.start, "kafka")

    async def accepted() -> Json | None:
        response = await shop.post("events", items, ledger.source)
        return response.json() if response.status_code == 202 else None

    answer = await eventually(accepted, RECOVERS_WITHIN_S)
    assert answer["event_ids"] == refused.json()["event_ids"]
    ledger.events |= {UUID(event_id) for event_id in answer["event_ids"]}
    assert (await shop.job(f"{ledger.source}.csv"))["status"] == "loaded"
    await shop.caught_up(RECOVERS_WITHIN_S)
    await check_ledger(shop, ledger)
    assert await eventually(lambda: all_ready(shop), RECOVERS_WITHIN_S)


async def test_while_the_database_is_away_events_are_accepted_and_stored_later(shop: Shop) -> None:
    ledger = Ledger()
    await asyncio.to_thread(shop.stack.stop, "postgres")
    answer = await shop.accept("events", ledger.batch(0), ledger.source)
    ledger.events |= {UUID(event_id) for event_id in answer["event_ids"]}
    question = await shop.query.get("/orders", params={"user_id": 1})
    assert question.status_code == 503
    assert question.headers["content-type"] == "application/problem+json"
    assert await eventually(lambda: problems_of(shop, "etl-worker"), RECOVERS_WITHIN_S) == ["postgres"]
    shop.drop(f"{ledger.source}.csv", b"product_id,product_name,category,price\n903,Trust,Test,1.00\n")
    await asyncio.to_thread(shop.stack.start, "postgres")

    async def answers() -> bool:
        return (await shop.query.get("/orders/1")).status_code == 200

    assert await eventually(answers, RECOVERS_WITHIN_S)
    await shop.caught_up(RECOVERS_WITHIN_S)
    await check_ledger(shop, ledger)
    assert (await shop.job(f"{ledger.source}.csv"))["status"] == "loaded"
    assert await eventually(lambda: all_ready(shop), RECOVERS_WITHIN_S)
