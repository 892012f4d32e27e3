"""file-loader as a process: what it says on stdout, and how it ends."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process

import pytest

from support.kafka import KafkaServer
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.files import FileJob, job_key, job_to_json
from tillstream.contracts.topics import TOPICS
from tillstream.kafka.aio import AioProducer
from tillstream.kafka.records import Outgoing
from tillstream.kafka.topics import ensure_topics
from tillstream.observe.serve import EXIT_CLEAN
from tillstream.testing.waiting import eventually

from .conftest import Shop

pytestmark = pytest.mark.integration

WITHIN_S = 20.0
MANY = 3_000  # with ten rows a chunk they take seconds


async def send(kafka_server: KafkaServer, *jobs: FileJob) -> None:
    producer = AioProducer(kafka_server.bootstrap, client_id="test")
    await producer.start()
    records = [Outgoing(FILES_TOPIC, job_key(job.job_id), job_to_json(job)) for job in jobs]
    await producer.publish(records, WITHIN_S)
    await producer.stop()


async def start(shop: Shop, kafka_server: KafkaServer, **settings: str) -> Process:
    environment = {
        "TILLSTREAM_ENV": "development",
        "TILLSTREAM_DATABASE_URL": shop.database.worker_dsn,
        "TILLSTREAM_DATA_DIR": str(shop.folders.root),
        "TILLSTREAM_KAFKA_BOOTSTRAP": kafka_server.bootstrap,
        "TILLSTREAM_OPS_PORT": "0",
        **{f"TILLSTREAM_{name}": value for name, value in settings.items()},
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "etl_worker.file_loader"),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
    )


async def test_the_process_loads_the_files_it_is_told_of_and_ends_when_asked(
    shop: Shop, kafka_server: KafkaServer
) -> None:
    await ensure_topics(kafka_server.bootstrap, TOPICS, deadline_s=WITHIN_S)
    job = shop.claim("users.csv", b"user_id,name,email,signup_date\n1,Ann,ann@example.org,2024-01-05\n")
    await send(kafka_server, job)
    process = await start(shop, kafka_server)
    await eventually(lambda: shop.files()["processed"] == ["users.csv"], WITHIN_S)
    process.terminate()
    out, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode == EXIT_CLEAN
    told = [json.loads(line) for line in out.splitlines()]
    assert {each["service"] for each in told} == {"file-loader"}
    assert {"Stopping, as asked.", "Stopped."} <= {each["event"] for each in told}
    assert (await shop.job(job.job_id))["status"] == "loaded"


async def test_a_killed_process_with_two_files_under_way_is_followed_by_one_that_ends_both(
    shop: Shop, kafka_server: KafkaServer
) -> None:
    await ensure_topics(kafka_server.bootstrap, TOPICS, deadline_s=WITHIN_S)
    users = b"".join(b"%d,N,u%d@example.org,2024-01-05\n" % (n, n) for n in range(1, MANY + 1))
    products = b"".join(b"%d,P,C,1.00\n" % n for n in range(1, MANY + 1))
    jobs = [
        shop.claim("users.csv", b"user_id,name,email,signup_date\n" + users),
        shop.claim("products.csv", b"product_id,product_name,category,price\n" + products),
    ]
    await send(kafka_server, *jobs)
    settings = {"FILE_PARALLEL": "2", "FILE_CHUNK_ROWS": "10"}
    process = await start(shop, kafka_server, **settings)
    both_begun = "SELECT 1 FROM shop.file_jobs WHERE status = 'running' AND rows > 0 HAVING count(*) = 2"
    await eventually(lambda: shop.rows(both_begun), WITHIN_S)
    process.kill()
    await process.wait()
    assert await shop.rows(both_begun) != []
    process = await start(shop, kafka_server, **{**settings, "FILE_CHUNK_ROWS": "1000"})
    await eventually(lambda: shop.files()["processed"] == ["products.csv", "users.csv"], WITHIN_S)
    process.terminate()
    await asyncio.wait_for(process.communicate(), WITHIN_S)
    for job in jobs:
        row = await shop.job(job.job_id)
        assert (row["status"], row["rows"], row["loaded"], row["lease_epoch"]) == ("loaded", MANY, MANY, 2)
    assert len(await shop.rows("SELECT 1 AS one FROM shop.changes")) == 2 * MANY
