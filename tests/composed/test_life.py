"""Containers are killed, partners come as other users, the project is taken down and brought up: nothing is lost or doubled."""

import asyncio
import os
from functools import partial
from uuid import uuid4

import pytest

from composed.postings import EVENTS, RECOVERS_WITHIN_S, batch, post_until_taken, stored
from e2e.driver import Json, Shop, eventually
from support.composed import ComposedStack

pytestmark = pytest.mark.e2e

SERVED = ("ingest-api", "query-api", "etl-worker", "file-loader", "file-watcher")
SERVERS = ("postgres", "kafka", "prometheus", "airflow")
# Airflow alone takes half a minute to start, and a container that ends again and again waits longer.
PARTNER_UID = 4711


async def healthy(composed: ComposedStack, service: str) -> bool:
    state = (await asyncio.to_thread(composed.inspect, service))["State"]
    return bool(state["Running"] and state["Health"]["Status"] == "healthy")


@pytest.mark.parametrize("service", [*SERVED, *SERVERS])
async def test_a_container_whose_processes_are_killed_comes_back_by_itself(
    shop: Shop, composed: ComposedStack, service: str
) -> None:
    source = f"killed-{uuid4()}"
    await post_until_taken(shop, batch("before"), source)
    assert await eventually(partial(healthy, composed, service), RECOVERS_WITHIN_S)
    killed = await asyncio.to_thread(composed.kill, service)

    async def there_is_another() -> bool:
        return await asyncio.to_thread(composed.pid, service) not in {None, killed}

    assert await eventually(there_is_another, RECOVERS_WITHIN_S)
    await post_until_taken(shop, batch("after"), source)
    for each in (service, *SERVED):
        assert await eventually(partial(healthy, composed, each), RECOVERS_WITHIN_S), each

    async def all_stored() -> bool:
        return await stored(shop, source) >= 2 * EVENTS

    assert await eventually(all_stored, RECOVERS_WITHIN_S)
    assert await stored(shop, source) == 2 * EVENTS


async def test_a_partners_own_folder_and_file_are_taken_whoever_made_them(
    shop: Shop, composed: ComposedStack
) -> None:
    folder = composed.data_dir / "input" / f"partner-{uuid4()}"
    folder.mkdir()
    drop = folder / "products.csv"
    half = composed.data_dir / f".{uuid4()}.part"
    half.write_text("product_id,product_name,category,price\n911,Tea,Test,2.50\n")
    half.chmod(0o644)
    if os.geteuid() == 0:  # anybody else can only be himself
        os.chown(half, PARTNER_UID, PARTNER_UID)
        os.chown(folder, PARTNER_UID, PARTNER_UID)
    half.rename(drop)

    async def loaded() -> Json | None:
        jobs = (await shop.get("/jobs", file_name="products.csv", limit=50))["jobs"]
        return next((job for job in jobs if job["source"] == folder.name and job["settled_at"]), None)

    job = await eventually(loaded)
    assert (job["status"], job["rows"]) == ("loaded", 1)
    kept = composed.data_dir / "processed" / f"{job['job_id']}__products.csv"

    async def moved() -> bool:
        return kept.exists()

    assert await eventually(moved)


async def test_an_up_that_changes_nothing_makes_no_container_anew(composed: ComposedStack) -> None:
    before = {service: composed.inspect(service)["Id"] for service in composed.services}
    await asyncio.to_thread(composed.up)
    assert {service: composed.inspect(service)["Id"] for service in composed.services} == before


async def test_what_was_there_is_there_after_down_and_up(shop: Shop, composed: ComposedStack) -> None:
    source = f"kept-{uuid4()}"
    await shop.accept("events", batch("kept"), source)
    await shop.caught_up()
    question = {"from": "2024-01-01", "to": "2024-12-31"}
    before = await shop.get("/metrics/daily-revenue", **question)
    await asyncio.to_thread(composed.run, "down")
    await asyncio.to_thread(composed.up)
    assert (await shop.get("/metrics/daily-revenue", **question))["daily_revenue"] == before["daily_revenue"]
    assert await stored(shop, source) == EVENTS
    await shop.accept("events", batch("kept"), source)  # the same ids once more
    await shop.caught_up()
    assert await stored(shop, source) == EVENTS
