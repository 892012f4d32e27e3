"""The door on real ports: starting, stopping, and clients that do not behave."""

import asyncio
import json
import os
import socket
import sys
from typing import override

import httpx2
import pytest

from ingest_api.app import App, build
from ingest_api.policy import DEFAULT_POLICY
from ingest_api.settings import IngestSettings
from tillstream.clock import SystemClock
from tillstream.contracts.entities import EVENTS_TOPIC
from tillstream.errors import Misconfigured
from tillstream.kafka.memory import MemoryBroker, MemoryProducer
from tillstream.observe.health import PROBE_AGE_S
from tillstream.observe.serve import EXIT_MISCONFIGURED, STOP_LIMIT_S
from tillstream.observe.web_server import FINISH_LIMIT_S
from tillstream.testing.builders import event_item
from tillstream.testing.waiting import eventually

from .conftest import POLICY, SETTINGS, StoppedClock

pytestmark = pytest.mark.unit

HOST = "127.0.0.1"
DEADLINE_S = 5.0
PROCESS_WITHIN_S = 20.0
ITEM = json.dumps(event_item()).encode()
HEAD = b"POST /ingest/events HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\n"


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(SystemClock())
    broker.create_topic(EVENTS_TOPIC)
    return broker


@pytest.fixture
def app(broker: MemoryBroker) -> App:
    return build(SETTINGS, producer=MemoryProducer(broker), policy=POLICY)


def accepted(broker: MemoryBroker) -> int:
    return sum(len(broker.log(place).records) for place in broker.places(EVENTS_TOPIC))


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(DEADLINE_S):
        return await reader.read()


async def test_running_door_serves_both_ports(app: App, broker: MemoryBroker) -> None:
    async with app.running(), httpx2.AsyncClient() as client:
        await eventually(lambda: app.link.connected)
        posted = await client.post(f"http://{HOST}:{app.web.port}/ingest/events", json=event_item())
        ready = await client.get(f"http://{HOST}:{app.ops.port}/health/ready")
        metrics = await client.get(f"http://{HOST}:{app.ops.port}/metrics")
    assert (posted.status_code, ready.status_code, accepted(broker)) == (202, 200, 1)
    assert 'tillstream_ingest_accepted_records_total{entity="event"} 1.0' in metrics.text


async def test_door_opens_without_a_broker_and_is_not_ready(broker: MemoryBroker) -> None:
    clock = StoppedClock()
    app = build(SETTINGS, producer=MemoryProducer(broker), clock=clock, policy=POLICY)
    broker.up = False
    async with app.running(), httpx2.AsyncClient() as client:
        ready_url = f"http://{HOST}:{app.ops.port}/health/ready"
        assert (await client.get(ready_url)).status_code == 503
        posted = await client.post(f"http://{HOST}:{app.web.port}/ingest/events", json=event_item())
        assert posted.status_code == 503
        broker.up = True
        await eventually(lambda: app.link.connected)

        clock.seconds += PROBE_AGE_S
        assert (await client.get(ready_url)).status_code == 200


async def test_stopping_door_finishes_what_it_took_in_and_takes_nothing_more(
    app: App, broker: MemoryBroker
) -> None:
    async with app.running():
        await eventually(lambda: app.link.connected)
        reader, writer = await asyncio.open_connection(HOST, app.web.port)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(ITEM) + ITEM[:10])
        in_flight = "tillstream_http_requests_in_flight"
        await eventually(lambda: app.metrics.registry.get_sample_value(in_flight) == 1)
        asyncio.get_running_loop().call_later(0.1, writer.write, ITEM[10:])
    answer = await answer_of(reader)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 202")
    assert accepted(broker) == 1
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, app.web.port)


async def test_stopping_waits_no_longer_than_a_body_may_take(broker: MemoryBroker) -> None:
    app = build(SETTINGS, producer=MemoryProducer(broker), policy=POLICY)
    async with app.running():
        await eventually(lambda: app.link.connected)
        reader, writer = await asyncio.open_connection(HOST, app.web.port)
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n[")
        in_flight = "tillstream_http_requests_in_flight"
        await eventually(lambda: app.metrics.registry.get_sample_value(in_flight) == 1)
    answer = await answer_of(reader)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert accepted(broker) == 0


async def test_client_that_leaves_in_the_middle_of_its_body_publishes_nothing(
    app: App, broker: MemoryBroker
) -> None:
    async with app.running():
        await eventually(lambda: app.link.connected)
        _, writer = await asyncio.open_connection(HOST, app.web.port)
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n" + ITEM)
        await writer.drain()
        writer.close()
        gone = {"route": "/ingest/events", "status": "499"}
        await eventually(
            lambda: app.metrics.registry.get_sample_value("tillstream_http_requests_total", gone) == 1
        )
    assert accepted(broker) == 0


async def test_client_that_leaves_after_its_body_is_served_all_the_same(
    app: App, broker: MemoryBroker
) -> None:
    async with app.running():
        await eventually(lambda: app.link.connected)
        _, writer = await asyncio.open_connection(HOST, app.web.port)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(ITEM) + ITEM)
        await writer.drain()
        writer.close()
        await eventually(lambda: accepted(broker) == 1)


async def test_port_in_use_is_one_sentence_and_leaves_nothing_open(broker: MemoryBroker) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        settings = IngestSettings(ingest_port=taken.getsockname()[1], ops_port=0)
        app = build(settings, producer=MemoryProducer(broker), policy=POLICY)
        with pytest.raises(Misconfigured, match="cannot be bound"):
            async with app.running():
                pytest.fail("it opened")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, app.ops.port)


async def test_process_with_a_wrong_setting_ends_with_one_line_that_names_it() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingest_api"),
        env={**os.environ, "TILLSTREAM_INGEST_PORT": "eighty"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    (line,) = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == EXIT_MISCONFIGURED
    assert (line["level"], line["service"]) == ("error", "ingest-api")
    assert line["problem"].startswith("TILLSTREAM_INGEST_PORT is wrong: ")
    assert "exception" not in line


async def test_process_whose_broker_can_never_be_reached_ends_and_says_why() -> None:
    ports = {"TILLSTREAM_INGEST_PORT": "0", "TILLSTREAM_OPS_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingest_api"),
        env={**os.environ, **ports, "TILLSTREAM_KAFKA_BOOTSTRAP": "kafka:abc"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PROCESS_WITHIN_S):
            output, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    last = json.loads(output.splitlines()[-1])
    assert (process.returncode, said) == (EXIT_MISCONFIGURED, b"")
    assert "'kafka:abc'" in last["problem"]


class BrokenProducer(MemoryProducer):
    """Meets a bug as soon as it starts."""

    @override
    async def start(self) -> None:
        raise ZeroDivisionError


async def test_bug_while_connecting_ends_the_work_and_no_request_is_answered_with_it(
    broker: MemoryBroker,
) -> None:
    app = build(SETTINGS, producer=BrokenProducer(broker), policy=POLICY)
    async with app.running(), httpx2.AsyncClient() as client, asyncio.timeout(DEADLINE_S):
        with pytest.raises(ZeroDivisionError):
            await app.work(asyncio.Event())
        posted = await client.post(f"http://{HOST}:{app.web.port}/ingest/events", json=event_item())
        assert (posted.status_code, app.link.connected) == (503, False)


async def test_work_ends_when_it_is_asked_to_also_after_it_has_found_the_broker(app: App) -> None:
    stop = asyncio.Event()
    async with app.running(), asyncio.timeout(DEADLINE_S):
        working = asyncio.create_task(app.work(stop))
        await eventually(lambda: app.link.connected)
        assert not working.done()
        stop.set()
        await working


def test_slowest_request_is_finished_before_a_stopping_process_must_end() -> None:
    assert DEFAULT_POLICY.read_s + DEFAULT_POLICY.publish_s < FINISH_LIMIT_S < STOP_LIMIT_S
