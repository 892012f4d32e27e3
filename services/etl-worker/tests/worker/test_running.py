"""Starting and stopping, and refusing to start."""

import asyncio
import json
import os
import sys

import psycopg
import pytest
from pydantic import SecretStr

from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.contracts.entities import Entity
from tillstream.contracts.topics import TOPICS
from tillstream.errors import Misconfigured
from tillstream.kafka.aio import AioProducer
from tillstream.kafka.topics import ensure_topics
from tillstream.observe.serve import EXIT_CLEAN, EXIT_MISCONFIGURED
from tillstream.testing.builders import user_item

from .conftest import DEADLINE_S, Works, envelope

pytestmark = pytest.mark.integration

STOPS_WITHIN_S = 20.0


async def refused(works: Works, **changes: object) -> str:
    works.settings = works.settings.model_copy(update=changes)
    with pytest.raises(Misconfigured) as raised:
        await asyncio.wait_for(works.app().run(asyncio.Event()), DEADLINE_S)
    return str(raised.value)


async def test_a_worker_with_other_days_than_its_database_refuses_to_run(works: Works) -> None:
    kathmandu = type(works.settings.shop_timezone)("Asia/Kathmandu")
    assert "Asia/Kathmandu" in await refused(works, shop_timezone=kathmandu)


async def test_a_worker_refuses_a_database_that_is_not_migrated(works: Works) -> None:
    empty = f"{works.database.name}_empty"
    with psycopg.connect(works.database.server.dsn(), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{empty}"'.encode())
    try:
        dsn = SecretStr(works.database.server.dsn(empty, "tillstream_worker"))
        assert "tillstream migrate" in await refused(works, database_url=dsn)
    finally:
        with psycopg.connect(works.database.server.dsn(), autocommit=True) as conn:
            conn.execute(f'DROP DATABASE "{empty}" WITH (FORCE)'.encode())


async def start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "etl_worker",
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
    )


async def test_the_process_applies_what_it_finds_and_ends_when_asked(
    works: Works, database: Database, kafka_server: KafkaServer
) -> None:
    await ensure_topics(kafka_server.bootstrap, TOPICS, deadline_s=DEADLINE_S)
    producer = AioProducer(kafka_server.bootstrap, client_id="test")
    await producer.start()
    await producer.publish([envelope(Entity.USER, json.dumps(user_item()).encode())], DEADLINE_S)
    await producer.stop()
    process = await start(
        {
            "TILLSTREAM_ENV": "development",
            "TILLSTREAM_DATABASE_URL": database.worker_dsn,
            "TILLSTREAM_KAFKA_BOOTSTRAP": kafka_server.bootstrap,
            "TILLSTREAM_OPS_PORT": "0",
        }
    )
    await works.has("SELECT name FROM shop.users", ("Ann",))
    process.terminate()
    out, _ = await asyncio.wait_for(process.communicate(), STOPS_WITHIN_S)
    assert process.returncode == EXIT_CLEAN
    lines = [json.loads(line) for line in out.decode().splitlines()]
    assert {line["service"] for line in lines} == {"etl-worker"}
    assert {"Took partitions over.", "Stopping, as asked.", "Stopped."} <= {line["event"] for line in lines}
    assert not [line for line in lines if line["level"] == "error" and "logger" not in line]


async def test_the_process_says_which_variable_is_missing() -> None:
    process = await start({})
    out, _ = await asyncio.wait_for(process.communicate(), STOPS_WITHIN_S)
    assert process.returncode == EXIT_MISCONFIGURED
    assert "TILLSTREAM_DATABASE_URL" in out.decode()
