"""The door on a real Apache Kafka: what a 202 is worth, and what an outage of the broker looks like."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from ingest_api.app import App, build
from ingest_api.policy import IngestPolicy
from ingest_api.settings import IngestSettings
from support.kafka import KafkaServer
from support.ports import free_port
from tillstream.contracts.entities import EVENTS_TOPIC, ORDERS_TOPIC
from tillstream.contracts.ids import new_id
from tillstream.contracts.topics import TOPICS
from tillstream.kafka.topics import ensure_topics
from tillstream.testing.builders import event_item, order_item, without
from tillstream.testing.waiting import eventually

from .conftest import column, problem

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"
PUBLISH_S = 2.0
POLICY = IngestPolicy(publish_s=PUBLISH_S)
TOPICS_WITHIN_S = 30.0
READ_WITHIN_S = 20.0
RECOVER_WITHIN_S = 40.0
EXIT_WITHIN_S = 20.0
START_WITHIN_S = 20.0


@asynccontextmanager
async def open_door(kafka: KafkaServer) -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    await ensure_topics(kafka.bootstrap, list(TOPICS), deadline_s=TOPICS_WITHIN_S)
    settings = IngestSettings(ingest_port=0, ops_port=0, kafka_bootstrap=kafka.bootstrap)
    app = build(settings, policy=POLICY)
    async with app.running():
        await eventually(lambda: app.link.connected)
        base_url = f"http://{HOST}:{app.web.port}"
        async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
            yield app, client


async def ids_in_log(kafka: KafkaServer, topic: str, wanted: set[str]) -> dict[str, ConsumerRecord]:
    """The records of a topic by their ce_id, read from the beginning until `wanted` are there."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, ConsumerRecord] = {}
    try:
        deadline = time.monotonic() + READ_WITHIN_S
        while not wanted <= set(found) and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.update({dict(record.headers)["ce_id"].decode(): record for record in records})
    finally:
        await consumer.stop()
    return found


async def test_accepted_items_are_in_the_log_when_the_answer_comes(kafka_server: KafkaServer) -> None:
    async with open_door(kafka_server) as (_, client):
        items = [without(event_item(user_id=number), "event_id") for number in range(1, 301)]
        answer = await client.post("/ingest/events", json=[*items, {}])
        assert answer.status_code == 202
        body = answer.json()
        assert (body["inserted"], body["rejected"]) == (300, 1)
        found = await ids_in_log(kafka_server, EVENTS_TOPIC, set(body["event_ids"]))
    assert set(body["event_ids"]) <= set(found)
    for user_id, event_id in enumerate(body["event_ids"], 1):
        assert found[event_id].key == str(user_id).encode()


async def test_changes_of_one_key_keep_the_order_they_were_sent_in(kafka_server: KafkaServer) -> None:
    async with open_door(kafka_server) as (_, client):
        order_id = int(time.time())
        statuses = ["pending", "paid", "shipped"] * 20
        items = [order_item(order_id=order_id, status=status) for status in statuses]
        ids = (await client.post("/ingest/orders", json=items)).json()["message_ids"]
        found = await ids_in_log(kafka_server, ORDERS_TOPIC, set(ids))
    places = [(found[each].partition, found[each].offset) for each in ids]
    assert places == sorted(places)
    assert len({partition for partition, _ in places}) == 1


async def test_stopped_broker_is_503_in_time_and_the_retry_is_accepted_under_the_same_ids(
    kafka_server: KafkaServer,
) -> None:
    items = [without(event_item(user_id=number), "event_id") for number in range(1, 21)]
    headers = {"Idempotency-Key": str(new_id())}
    async with open_door(kafka_server) as (app, client):
        await asyncio.to_thread(kafka_server.stop)
        try:
            began = time.monotonic()
            first = problem(await client.post("/ingest/events", json=items, headers=headers), 503)
            assert time.monotonic() - began < PUBLISH_S + 1
            assert column(first["items"], "message_id") == first["event_ids"]
            assert len({UUID(text) for text in first["event_ids"]}) == len(items)
            assert first["inserted"] == 0
            assert (await client.get("/health")).status_code == 503
            assert (await app.health.ready()).problems
        finally:
            await asyncio.to_thread(kafka_server.start)
        again = await accepted_at_last(client, items, headers)
        assert again["event_ids"] == first["event_ids"]
        found = await ids_in_log(kafka_server, EVENTS_TOPIC, set(again["event_ids"]))
        assert set(again["event_ids"]) <= set(found)


async def accepted_at_last(
    client: httpx2.AsyncClient, items: object, headers: Mapping[str, str]
) -> dict[str, list[str]]:
    """What a client does after a 503: the same request again, until it is a 202."""
    deadline = time.monotonic() + RECOVER_WITHIN_S
    while True:
        answer = await client.post("/ingest/events", json=items, headers=headers)
        if answer.status_code == 202:
            body: dict[str, list[str]] = answer.json()
            return body
        assert answer.status_code == 503
        assert time.monotonic() < deadline, answer.text


async def test_process_finishes_its_request_and_stops_cleanly_on_sigterm(kafka_server: KafkaServer) -> None:
    await ensure_topics(kafka_server.bootstrap, list(TOPICS), deadline_s=TOPICS_WITHIN_S)
    port, ops_port = free_port(), free_port()
    settings = {
        "KAFKA_BOOTSTRAP": kafka_server.bootstrap,
        "INGEST_PORT": str(port),
        "OPS_PORT": str(ops_port),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingest_api"),
        env={**os.environ, **{f"TILLSTREAM_{name}": value for name, value in settings.items()}},
        stdout=asyncio.subprocess.PIPE,
    )
    ops = httpx2.AsyncClient(base_url=f"http://{HOST}:{ops_port}")
    try:
        await eventually(lambda: is_ready(ops, "/health/ready"), START_WITHIN_S)
        reader, writer = await asyncio.open_connection(HOST, port)
        body = json.dumps(event_item()).encode()
        head = b"POST /ingest/events HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:5])
        await eventually(lambda: has_a_request(ops, "/metrics"))
        process.send_signal(signal.SIGTERM)
        await eventually(lambda: refuses(port))
        writer.write(body[5:])
        async with asyncio.timeout(EXIT_WITHIN_S):
            answer = await reader.read()
            output, _ = await process.communicate()
        writer.close()
    finally:
        await ops.aclose()
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert answer.startswith(b"HTTP/1.1 202")
    assert process.returncode == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert {line["service"] for line in lines} == {"ingest-api"}
    assert "Stopping, as asked." in column(lines, "event")
    assert lines[-1]["event"] == "Stopped."


async def is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.TransportError:
        return False


async def has_a_request(client: httpx2.AsyncClient, url: str) -> bool:
    return "tillstream_http_requests_in_flight 1.0" in (await client.get(url)).text


async def refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False
