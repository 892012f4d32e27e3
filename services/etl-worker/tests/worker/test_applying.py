"""From records to tables, by the whole process."""

import httpx2
import pytest
from psycopg import AsyncConnection

from etl_worker.app import App
from tillstream.contracts.entities import Entity
from tillstream.testing.builders import event_item, inner_item, order_item, product_item, user_item
from tillstream.testing.waiting import eventually

from .conftest import DEADLINE_S, Works, metric

pytestmark = pytest.mark.integration

LAST_SUCCESS = "tillstream_last_success_timestamp_seconds"


async def test_records_of_every_topic_reach_their_tables(works: Works) -> None:
    await works.publish(Entity.USER, user_item())
    await works.publish(Entity.PRODUCT, product_item())
    await works.publish(Entity.ORDER, order_item(items=[inner_item()]))
    await works.publish(Entity.EVENT, event_item())
    async with works.running():
        await works.has("SELECT user_id, name FROM shop.users", (1, "Ann"))
        await works.has("SELECT product_id, product_name FROM shop.products", (1, "Lamp"))
        await works.has("SELECT order_id, order_item_id, quantity FROM shop.order_items", (1, 1, 2))
        await works.has("SELECT user_id, event_type FROM shop.events", (1, "page_view"))


async def test_bytes_that_are_no_record_are_kept_as_they_came(works: Works) -> None:
    await works.publish(Entity.USER, b"\xff{not json", user_item())
    async with works.running() as app:
        await works.has("SELECT name FROM shop.users", ("Ann",))
        await works.has("SELECT payload, reason FROM shop.quarantine", (b"\xff{not json", "malformed_json"))
        await eventually(lambda: metric(app, "tillstream_quarantine_open_entries") == 1, DEADLINE_S)
    assert await works.rows("SELECT kafka_partition, kafka_offset FROM shop.quarantine") == [(0, 0)]


async def test_an_event_waits_for_its_user_and_is_stored_when_the_user_comes(works: Works) -> None:
    await works.publish(Entity.PRODUCT, product_item())
    await works.publish(Entity.EVENT, event_item(user_id=7))
    async with works.running() as app:
        await works.has("SELECT waits_for, waits_key FROM shop.parked", ("user", 7))
        await eventually(lambda: metric(app, "tillstream_parked_rows", parent="user") == 1)
        await works.publish(Entity.USER, user_item(user_id=7))
        await works.has("SELECT user_id FROM shop.events", (7,))
        await works.has("SELECT count(*) FROM shop.parked", (0,))
        await eventually(lambda: metric(app, "tillstream_parked_rows", parent="user") == 0)


async def test_a_session_that_holds_the_lock_of_the_sweep_keeps_it_from_succeeding(works: Works) -> None:
    await works.publish(Entity.PRODUCT, product_item())
    async with await AsyncConnection.connect(works.database.superuser_dsn, autocommit=True) as somebody:
        await somebody.execute("SELECT pg_advisory_lock(7305112025)")
        await works.publish(Entity.EVENT, event_item(user_id=7))
        async with works.running() as app:
            await eventually(lambda: metric(app, "tillstream_parked_rows", parent="user") == 1, DEADLINE_S)
            await works.publish(Entity.USER, user_item(user_id=7))
            # It was measured after a whole round of the sweep, and of the one that follows the user.
            await eventually(lambda: applied(app, "user", "stored") == 1, DEADLINE_S)
            assert metric(app, LAST_SUCCESS, activity="sweep") == 0
            assert await works.rows("SELECT count(*) FROM shop.parked") == [(1,)]
            await somebody.execute("SELECT pg_advisory_unlock(7305112025)")
            await works.has("SELECT user_id FROM shop.events", (7,))
            await eventually(lambda: metric(app, LAST_SUCCESS, activity="sweep") > 0, DEADLINE_S)


async def test_the_same_records_twice_change_nothing(works: Works) -> None:
    await works.publish(Entity.USER, user_item())
    await works.publish(Entity.PRODUCT, product_item())
    await works.publish(Entity.EVENT, event_item(), event_item(), event_item())
    async with works.running() as app:
        await eventually(lambda: applied(app, "event", "duplicate") == 2)
        assert applied(app, "event", "stored") == 1
    assert await works.rows("SELECT count(*) FROM shop.events") == [(1,)]


async def test_what_was_applied_is_counted_and_measured(works: Works) -> None:
    await works.publish(Entity.USER, user_item(), b"broken")
    async with works.running() as app:
        await eventually(lambda: applied(app, "user", "stored") == applied(app, "user", "quarantined") == 1)
        assert (
            metric(app, "tillstream_quarantined_records_total", entity="user", reason="malformed_json") == 1
        )
        assert metric(app, "tillstream_event_to_table_seconds_count", entity="user") > 0
        assert metric(app, "tillstream_partition_takeovers_total", topic="shop.users.v1") == 3
        await works.has("SELECT DISTINCT log_end - next_offset FROM shop.partition_progress", (0,))


def applied(app: App, entity: str, outcome: str) -> float:
    return metric(app, "tillstream_applied_records_total", entity=entity, outcome=outcome)


async def test_a_worker_without_its_database_is_not_ready_and_says_why(works: Works) -> None:
    server = works.database.server
    async with works.running() as app, httpx2.AsyncClient() as client:
        await works.has("SELECT count(*) > 0 FROM shop.partition_progress", (True,))

        async def ready() -> httpx2.Response:
            return await client.get(f"http://127.0.0.1:{app.ops.port}/health/ready")

        assert (await ready()).status_code == 200
        server.stop()

        async def says_why() -> bool:
            answer = await ready()
            return answer.status_code == 503 and "postgres" in answer.json()["problems"]

        await eventually(says_why, DEADLINE_S)
        server.start()

        async def is_back() -> bool:
            return (await ready()).status_code == 200

        await eventually(is_back, DEADLINE_S)
        live = await client.get(f"http://127.0.0.1:{app.ops.port}/health/live")
        assert live.status_code == 200
