"""The queue takes each job once, gives way to the stream, and works only for a database that counts the same days."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import override
from zoneinfo import ZoneInfo

import pytest
from psycopg import AsyncConnection
from pydantic import SecretStr

from etl_worker.file_loader.app import build
from etl_worker.file_loader.jobs import Jobs
from etl_worker.file_loader.settings import LoaderSettings
from tillstream.apply.engine import Applied, Engine
from tillstream.clock import SystemClock
from tillstream.contracts.messages import Message
from tillstream.errors import Misconfigured

from .conftest import CHUNK_ROWS, Shop

pytestmark = pytest.mark.integration

HEADER = b"user_id,name,email,signup_date\n"
USERS = HEADER + b"".join(b"%d,N,u%d@example.org,2024-01-05\n" % (n, n) for n in range(1, 3 * CHUNK_ROWS + 1))
MUCH = 1_000_000


async def test_a_job_that_is_sent_again_and_again_is_run_once(shop: Shop) -> None:
    job = shop.claim("users.csv", USERS)
    await shop.queue(job, job)
    await shop.queue(job)
    assert len(await shop.run_all()) == 1
    await shop.queue(job)
    assert await shop.run_all() == []
    assert (await shop.job(job.job_id))["status"] == "loaded"


async def test_a_queued_job_waits_for_its_siblings_but_not_for_ever(shop: Shop) -> None:
    settings = LoaderSettings(
        env="development",
        ops_port=0,
        database_url=SecretStr(shop.database.worker_dsn),
        data_dir=shop.folders.root,
        file_settle_s=3_600,
    )
    patient = build(settings, shop.ports())
    shop.apps.append(patient)
    await shop.queue(shop.claim("users.csv", USERS))
    assert await patient.runner.run_next() is None
    await shop.conn.execute("UPDATE shop.file_jobs SET created_at = created_at - interval '1 hour'")
    assert await patient.runner.run_next() is not None


async def test_a_database_with_other_days_is_refused(shop: Shop) -> None:
    settings = LoaderSettings(
        env="development",
        ops_port=0,
        database_url=SecretStr(shop.database.worker_dsn),
        data_dir=shop.folders.root,
        shop_timezone=ZoneInfo("Asia/Kathmandu"),
    )
    app = build(settings, shop.ports())
    async with app.running():
        with pytest.raises(Misconfigured, match="Asia/Kathmandu"):
            await app.work(asyncio.Event())


class LaggingJobs(Jobs):
    """Sees the lags of a list in the stream, one per look."""

    def __init__(self, lags: Iterator[int]) -> None:
        super().__init__()
        self.seen: list[int] = []
        self._lags = lags

    @override
    async def stream_lag(self, conn: AsyncConnection) -> int:
        self.seen.append(next(self._lags))
        return self.seen[-1]


async def test_a_file_makes_way_between_chunks_while_the_stream_lags(shop: Shop) -> None:
    jobs = LaggingJobs(iter([MUCH, MUCH, 0, 0, 0]))
    engine = Engine()
    looks_before_chunk = []

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> list[Applied]:
        looks_before_chunk.append(list(jobs.seen))
        return await engine.apply(conn, messages)

    shop.start(replace(shop.ports(), jobs=jobs, apply=apply))
    assert (await shop.load("users.csv", USERS))["status"] == "loaded"
    assert looks_before_chunk == [[], [MUCH, MUCH, 0], [MUCH, MUCH, 0, 0]]


async def test_a_stream_that_lags_for_ever_does_not_stop_files(shop: Shop) -> None:
    class Hurried(SystemClock):
        """An hour passes between two looks."""

        def __init__(self) -> None:
            self._hours = 0

        @override
        def monotonic(self) -> float:
            self._hours += 1
            return self._hours * 3_600.0

    jobs = LaggingJobs(iter([MUCH] * 10))
    shop.start(replace(shop.ports(), jobs=jobs, clock=Hurried()))
    assert (await shop.load("users.csv", USERS))["status"] == "loaded"
    assert jobs.seen == [MUCH] * 3


async def test_the_lag_is_that_of_the_streams_moving_partitions(shop: Shop) -> None:
    await shop.conn.execute(
        "INSERT INTO shop.partition_progress (topic, kafka_partition, next_offset, log_end, measured_at, stopped_at)"
        " VALUES ('shop.events.v1', 0, 10, 17, now(), NULL), ('shop.orders.v1', 0, 5, 5, now(), NULL),"
        " ('shop.events.v1', 1, 0, 100, now() - interval '1 minute', NULL), ('shop.users.v1', 0, 0, 100, now(), now()),"
        " ('shop.files.v1', 0, 0, 100, now(), NULL)"
    )
    assert await Jobs().stream_lag(shop.conn) == 7
