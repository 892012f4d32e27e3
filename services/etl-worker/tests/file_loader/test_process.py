"""file-loader as a process: what it says on stdout, and how it ends."""

import asyncio
import json
import os
import sys

import pytest

from support.kafka import KafkaServer
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.files import job_key, job_to_json
from tillstream.contracts.topics import TOPICS
from tillstream.kafka.aio import AioProducer
from tillstream.kafka.records import Outgoing
from tillstream.kafka.topics import ensure_topics
from tillstream.observe.serve import EXIT_CLEAN
from tillstream.testing.waiting import eventually

from .conftest import Shop

pytestmark = pytest.mark.integration

WITHIN_S = 20.0


async def test_the_process_loads_the_files_it_is_told_of_and_ends_when_asked(
    shop: Shop, kafka_server: KafkaServer
) -> None:
    await ensure_topics(kafka_server.bootstrap, TOPICS, deadline_s=WITHIN_S)
    job = shop.claim("users.csv", b"user_id,name,email,signup_date\n1,Ann,ann@example.org,2024-01-05\n")
    producer = AioProducer(kafka_server.bootstrap, client_id="test")
    await producer.start()
    await producer.publish([Outgoing(FILES_TOPIC, job_key(job.job_id), job_to_json(job))], WITHIN_S)
    await producer.stop()
    environment = {
        "TILLSTREAM_ENV": "development",
        "TILLSTREAM_DATABASE_URL": shop.database.worker_dsn,
        "TILLSTREAM_DATA_DIR": str(shop.folders.root),
        "TILLSTREAM_KAFKA_BOOTSTRAP": kafka_server.bootstrap,
        "TILLSTREAM_OPS_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "etl_worker.file_loader"),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    await eventually(lambda: shop.files()["processed"] == ["users.csv"], WITHIN_S)
    process.terminate()
    out, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode == EXIT_CLEAN
    told = [json.loads(line) for line in out.splitlines()]
    assert {each["service"] for each in told} == {"file-loader"}
    assert {"Stopping, as asked.", "Stopped."} <= {each["event"] for each in told}
    assert (await shop.job(job.job_id))["status"] == "loaded"
