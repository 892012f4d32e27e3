import socket
from collections.abc import AsyncIterator

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from tillstream.clock import SystemClock
from tillstream.errors import Misconfigured
from tillstream.observe.health import Health
from tillstream.observe.metrics import Metrics
from tillstream.observe.ops import OpsServer

pytestmark = pytest.mark.unit

HOST = "127.0.0.1"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def health(metrics: Metrics) -> Health:
    return Health(SystemClock(), metrics)


@pytest.fixture
async def client(health: Health, metrics: Metrics) -> AsyncIterator[httpx2.AsyncClient]:
    server = OpsServer(HOST, 0, health, metrics)
    await server.start()
    async with httpx2.AsyncClient(base_url=f"http://{HOST}:{server.port}") as client:
        yield client
    await server.stop()


async def test_healthy_process_is_live_and_ready(client: httpx2.AsyncClient) -> None:
    live, ready = await client.get("/health/live"), await client.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "live", "problems": {}})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "problems": {}})


async def test_unready_process_says_what_it_waits_for(client: httpx2.AsyncClient, health: Health) -> None:
    health.dependency("kafka").waiting("Kafka does not answer.")
    ready = await client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json() == {"status": "not ready", "problems": {"kafka": "Kafka does not answer."}}
    assert (await client.get("/health/live")).status_code == 200


async def test_a_remark_is_told_and_keeps_nobody_from_being_ready(
    client: httpx2.AsyncClient, health: Health
) -> None:
    health.remark("hints", "There are none.")
    ready = await client.get("/health/ready")
    assert (ready.status_code, ready.json()["remarks"]) == (200, {"hints": "There are none."})
    health.remark("hints", None)
    assert (await client.get("/health/ready")).json() == {"status": "ready", "problems": {}}


async def test_stuck_process_is_not_live(client: httpx2.AsyncClient, health: Health) -> None:
    health.progress("consume", limit_s=-1)
    live = await client.get("/health/live")
    assert live.status_code == 503
    assert live.json()["status"] == "not live"


async def test_metrics_are_in_prometheus_format(client: httpx2.AsyncClient, metrics: Metrics) -> None:
    metrics.http_requests.labels("/orders", "200").inc(3)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'tillstream_http_requests_total{route="/orders",status="200"} 3.0' in answer.text.splitlines()


async def test_scrape_sees_readiness_of_this_moment(client: httpx2.AsyncClient, health: Health) -> None:
    assert "tillstream_ready 1.0" in (await client.get("/metrics")).text.splitlines()
    health.dependency("kafka").waiting("Kafka does not answer.")
    assert "tillstream_ready 0.0" in (await client.get("/metrics")).text.splitlines()


async def test_other_paths_are_not_found(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/")).status_code == 404


async def test_port_in_use_is_one_sentence(health: Health, metrics: Metrics) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            Misconfigured, match=rf"Port {port} on {HOST} cannot be bound to: Address already in use\."
        ):
            await OpsServer(HOST, port, health, metrics).start()


async def test_unknown_host_is_one_sentence(health: Health, metrics: Metrics) -> None:
    with pytest.raises(Misconfigured, match=r"The address 256\.0\.0\.1 cannot be bound to"):
        await OpsServer("256.0.0.1", 0, health, metrics).start()


async def test_stop_frees_the_port_and_may_be_repeated(health: Health, metrics: Metrics) -> None:
    server = OpsServer(HOST, 0, health, metrics)
    await server.stop()
    await server.start()
    port = server.port
    await server.stop()
    await server.stop()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((HOST, port))
