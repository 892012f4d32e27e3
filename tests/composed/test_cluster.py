"""Three brokers and two workers: one of each may go, and nothing is lost or doubled."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from uuid import uuid4

import httpx2
import pytest

from composed.postings import EVENTS, RECOVERS_WITHIN_S, batch, post_until_taken, stored
from e2e.driver import Shop, eventually
from support.composed import ComposedStack, docker, run_composed
from tillstream.contracts.topics import RECORD_PARTITIONS

pytestmark = pytest.mark.e2e

FILES = ("compose.yaml", "compose.cluster.yaml")
BROKERS = ("kafka", "kafka-2", "kafka-3")
REPLICAS = 3
AIRFLOW_PARTS = ("airflow", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposedStack]:
    """The cluster, up."""
    yield from run_composed(tmp_path_factory.mktemp("cluster"), {}, FILES)


@pytest.fixture
async def shop_of_three(cluster: ComposedStack) -> AsyncIterator[Shop]:
    """A client for each of its doors, and the parents of the events that are posted."""
    async with (
        httpx2.AsyncClient(base_url=cluster.ingest_url, timeout=20) as ingest,
        httpx2.AsyncClient(base_url=cluster.query_url, timeout=20) as query,
    ):
        shop = Shop(cluster, ingest, query)
        users = [
            {"user_id": n, "name": "N", "email": f"n{n}@example.org", "signup_date": "2023-01-01"}
            for n in range(1, 11)
        ]
        products = [
            {"product_id": n, "product_name": "P", "category": "C", "price": "1.00"} for n in range(1, 16)
        ]
        await shop.accept("users", users)
        await shop.accept("products", products)
        yield shop


async def all_stored(shop: Shop, source: str, wanted: int) -> bool:
    return await stored(shop, source) >= wanted


async def test_topics_have_three_copies_of_which_two_must_be_written(cluster: ComposedStack) -> None:
    described = docker(
        "exec",
        cluster.container("kafka"),
        "/opt/kafka/bin/kafka-topics.sh",
        "--bootstrap-server=kafka:19092",
        "--describe",
        "--topic=shop.events.v1",
    )
    assert described.count("Partition: ") == RECORD_PARTITIONS
    assert f"ReplicationFactor: {REPLICAS}" in described
    for broker in BROKERS:
        properties = docker("exec", cluster.container(broker), "env")
        assert "KAFKA_MIN_INSYNC_REPLICAS=2" in properties.splitlines()


async def test_every_part_of_airflow_is_a_container_and_healthy(cluster: ComposedStack) -> None:
    healths = {part: cluster.inspect(part)["State"]["Health"]["Status"] for part in AIRFLOW_PARTS}
    assert healths == dict.fromkeys(AIRFLOW_PARTS, "healthy")


async def test_without_a_broker_the_door_stays_open_and_everything_arrives_once(
    shop_of_three: Shop, cluster: ComposedStack
) -> None:
    source = f"broker-{uuid4()}"
    await shop_of_three.accept("events", batch("before"), source)
    await asyncio.to_thread(cluster.stop, "kafka-2")
    await post_until_taken(shop_of_three, batch("without"), source)
    assert await eventually(partial(all_stored, shop_of_three, source, 2 * EVENTS), RECOVERS_WITHIN_S)
    await asyncio.to_thread(cluster.start, "kafka-2")
    await post_until_taken(shop_of_three, batch("after"), source)
    assert await eventually(partial(all_stored, shop_of_three, source, 3 * EVENTS), RECOVERS_WITHIN_S)
    assert await stored(shop_of_three, source) == 3 * EVENTS


async def test_without_a_worker_the_other_one_takes_over(shop_of_three: Shop, cluster: ComposedStack) -> None:
    source = f"worker-{uuid4()}"
    await shop_of_three.accept("events", batch("before"), source)
    assert cluster.inspect("etl-worker", 2)["State"]["Running"]
    await asyncio.to_thread(docker, "stop", cluster.container("etl-worker", 1))
    await shop_of_three.accept("events", batch("without"), source)
    assert await eventually(partial(all_stored, shop_of_three, source, 2 * EVENTS), RECOVERS_WITHIN_S)
    await asyncio.to_thread(docker, "start", cluster.container("etl-worker", 1))
    await shop_of_three.accept("events", batch("before"), source)  # the same ids once more
    await shop_of_three.accept("events", batch("after"), source)
    assert await eventually(partial(all_stored, shop_of_three, source, 3 * EVENTS), RECOVERS_WITHIN_S)
    assert await stored(shop_of_three, source) == 3 * EVENTS
