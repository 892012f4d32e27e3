"""Outages, time-outs and settings: query-api waits, says so, and recovers alone."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import httpx2
import psycopg
import pytest

from query_api.database import TOO_LONG, UNAVAILABLE
from support.postgres import Database
from tillstream.errors import Misconfigured
from tillstream.observe.serve import EXIT_MISCONFIGURED
from tillstream.testing.shop_rows import ShopRows
from tillstream.testing.waiting import eventually

from .conftest import Api, running_api, settings_for

pytestmark = pytest.mark.fault

WITHIN_S = 20.0
ORIGIN = "https://shop.example"


def assert_unavailable(response: httpx2.Response, detail: str) -> None:
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["detail"] == detail


async def test_while_the_database_is_away_questions_get_503_and_answers_come_back_alone(
    database: Database,
) -> None:
    async with running_api(settings_for(database.reader_dsn, query_wait_ms=300)) as api:
        await api.running.agreement
        assert (await api.client.get("/orders")).status_code == 200
        await asyncio.to_thread(database.server.stop)
        assert_unavailable(await api.client.get("/orders"), UNAVAILABLE)
        assert_unavailable(await api.client.get("/metrics/daily-revenue"), UNAVAILABLE)
        assert (await api.client.get("/health")).status_code == 200
        assert (await api.ops.get("/health/live")).status_code == 200
        ready = await api.ops.get("/health/ready")
        assert (ready.status_code, list(ready.json()["problems"])) == (503, ["postgres"])
        await asyncio.to_thread(database.server.start)

        async def answered() -> bool:
            questions = [await api.client.get("/orders"), await api.ops.get("/health/ready")]
            return {each.status_code for each in questions} == {200}

        answers: Callable[[], bool | Awaitable[bool]] = answered
        await eventually(answers)


async def test_a_process_that_starts_before_the_database_answers_once_it_is_there(database: Database) -> None:
    await asyncio.to_thread(database.server.stop)
    async with running_api(settings_for(database.reader_dsn, query_wait_ms=300)) as api:
        assert_unavailable(await api.client.get("/orders"), UNAVAILABLE)
        assert (await api.ops.get("/health/ready")).status_code == 503
        await asyncio.to_thread(database.server.start)
        async with asyncio.timeout(WITHIN_S):
            await api.running.agreement
        assert (await api.client.get("/orders")).status_code == 200


async def test_a_question_that_takes_too_long_is_ended_with_a_503(database: Database) -> None:
    async with running_api(settings_for(database.reader_dsn, query_timeout_ms=100)) as api:
        await api.running.agreement
        with psycopg.connect(database.owner_dsn) as locking:
            locking.execute("LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
            assert_unavailable(await api.client.get("/orders"), TOO_LONG)
        assert (await api.client.get("/orders")).status_code == 200


async def test_more_questions_than_connections_wait_and_then_are_told_to_come_back(
    database: Database,
) -> None:
    settings = settings_for(
        database.reader_dsn, query_connections=1, query_wait_ms=100, query_timeout_ms=3_000
    )
    async with running_api(settings) as api:
        await api.running.agreement
        with psycopg.connect(database.owner_dsn) as locking:
            locking.execute("LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
            answers = [asyncio.create_task(api.client.get("/orders")) for _ in range(3)]
            done, waiting = await asyncio.wait(answers, timeout=2.0)
            assert len(waiting) == 1
            for answer in done:
                assert_unavailable(answer.result(), UNAVAILABLE)
        assert (await waiting.pop()).status_code == 200


async def test_another_shop_time_zone_than_the_databases_is_refused(database: Database) -> None:
    settings = settings_for(database.reader_dsn, shop_timezone="Asia/Kathmandu")
    async with running_api(settings) as api:
        with pytest.raises(Misconfigured, match="'Asia/Kathmandu', but the database keeps its days in 'UTC'"):
            await api.running.agreement
        assert_unavailable(await api.client.get("/metrics/daily-revenue"), UNAVAILABLE)


async def test_a_database_without_a_schema_is_refused(database: Database) -> None:
    async with running_api(settings_for(database.server.dsn("postgres", "tillstream_reader"))) as api:
        with pytest.raises(Misconfigured, match="tillstream migrate"):
            await api.running.agreement


async def _start(database: Database, **more: str) -> asyncio.subprocess.Process:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TILLSTREAM_")},
        "TILLSTREAM_ENV": "development",
        "TILLSTREAM_DATABASE_URL": database.reader_dsn,
        "TILLSTREAM_QUERY_PORT": "0",
        "TILLSTREAM_OPS_PORT": "0",
        **more,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "query_api", env=environment, stdout=asyncio.subprocess.PIPE
    )


async def test_the_process_ends_with_a_sentence_when_the_zones_differ(database: Database) -> None:
    process = await _start(database, TILLSTREAM_SHOP_TIMEZONE="Asia/Kathmandu")
    async with asyncio.timeout(WITHIN_S):
        output, _ = await process.communicate()
    assert process.returncode == EXIT_MISCONFIGURED
    assert b"the database keeps its days in 'UTC'" in output


async def test_the_process_stops_cleanly_on_sigterm(database: Database) -> None:
    process = await _start(database)
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN_S):
        while b"questions are answered" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGTERM)
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert b"Stopped." in output


async def test_browsers_of_other_origins_are_let_in_by_setting_only(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in = []
    for setting in ("", f"https://other.example,{ORIGIN}"):
        monkeypatch.setenv("TILLSTREAM_CORS_ORIGINS", setting)
        async with running_api(settings_for(database.reader_dsn)) as api:
            answer = await api.client.get("/health", headers={"Origin": ORIGIN})
            let_in.append(answer.headers.get("access-control-allow-origin"))
    assert let_in == [None, ORIGIN]


async def test_the_pool_and_the_requests_are_measured(api: Api, rows: ShopRows) -> None:
    rows.order(1, "2024-01-20T10:30:00Z")
    await api.get("/orders/1")
    exposed = (await api.ops.get("/metrics")).text
    assert 'tillstream_http_requests_total{route="/orders/{order_id}",status="200"} 1.0' in exposed
    assert "tillstream_database_connections_in_use 0.0" in exposed
    assert 'tillstream_last_success_timestamp_seconds{activity="query"}' in exposed
