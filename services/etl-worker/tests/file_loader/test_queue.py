"""The queue takes each job once, gives way to the stream, and works only for a database that counts the same days."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import override
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import AsyncConnection, errors, sql
from pydantic import SecretStr

from etl_worker.file_loader.app import build
from etl_worker.file_loader.jobs import Jobs, Stream
from etl_worker.file_loader.settings import LoaderSettings
from support.plans import rows_looked_at
from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.clock import SystemClock
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.messages import Message
from tillstream.db.connections import connect
from tillstream.db.queries import load
from tillstream.errors import DatabaseUnavailable, Misconfigured
from tillstream.kafka.records import Record
from tillstream.kafka.steps import commit

from .conftest import CHUNK_ROWS, Shop

pytestmark = pytest.mark.integration

HEADER = b"user_id,name,email,signup_date\n"
USERS = HEADER + b"".join(b"%d,N,u%d@example.org,2024-01-05\n" % (n, n) for n in range(1, 3 * CHUNK_ROWS + 1))
MUCH = 1_000_000
NOTHING_INHERITED = {"settle": timedelta(0), "inherited": [], "inherited_epochs": []}
MANY = 5_000
MINUTE_S = 60.0
DEADLINE_S = 30.0


async def test_a_job_that_is_sent_again_and_again_is_run_once(shop: Shop) -> None:
    job = shop.claim("users.csv", USERS)
    await shop.queue(job, job)
    await shop.queue(job)
    assert len(await shop.run_all()) == 1
    await shop.queue(job)
    assert await shop.run_all() == []
    assert (await shop.job(job.job_id))["status"] == "loaded"


async def test_a_file_that_was_refused_unopened_is_a_failed_job_without_rows(shop: Shop) -> None:
    job = replace(shop.claim("users.csv", USERS), refusal="refused_unopened: it is no regular file")
    await shop.queue(job, job)
    await shop.queue(job)
    assert await shop.run_all() == []
    row = await shop.job(job.job_id)
    assert (row["status"], row["error"], row["rows"]) == ("failed", job.refusal, 0)
    assert None not in {row["finished_at"], row["settled_at"]}


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


async def test_the_next_job_is_found_without_a_look_at_all_that_are_queued(shop: Shop) -> None:
    await shop.conn.execute(
        "INSERT INTO shop.file_jobs (job_id, file_name, source, kind, status, claimed_at)"
        " SELECT gen_random_uuid(), 'users.csv', 'source ' || n %% 3, CASE n %% 4 WHEN 0 THEN 'user' WHEN 1 THEN 'order' END,"
        " 'queued', timestamptz '2024-01-01' + n * interval '1 s' FROM generate_series(1, %s) AS n",
        [MANY],
    )
    values = {**NOTHING_INHERITED, "kinds": ["user", "order"], "children": ["order"], "parents": ["user"]}
    statement = load("etl_worker.file_loader", "jobs.sql")["candidate"]
    assert await rows_looked_at(shop.conn, statement, values) < MANY / 10
    row = await (await shop.conn.execute(statement, values)).fetchone()
    first = await shop.conn.execute(
        "SELECT job_id FROM shop.file_jobs WHERE kind = 'user' ORDER BY claimed_at LIMIT 1"
    )
    assert row is not None
    assert [row[0]] == list(await first.fetchone() or ())


async def many_jobs(shop: Shop, status: str, finished_at: str | None) -> None:
    await shop.conn.execute(
        "INSERT INTO shop.file_jobs (job_id, file_name, source, kind, status, claimed_at, created_at, finished_at)"
        " SELECT gen_random_uuid(), 'users.csv', 'acme', 'user', %s, moment, moment,"
        " %s::timestamptz + (moment - '2024-01-01')"
        " FROM generate_series(timestamptz '2024-01-01', '2024-01-01'::timestamptz + %s * interval '1 s', '1 s') AS moment",
        [status, finished_at, MANY],
    )
    async with await AsyncConnection.connect(shop.database.superuser_dsn, autocommit=True) as owner:
        await owner.execute("ANALYZE shop.file_jobs")


async def test_the_next_job_is_found_without_a_look_at_all_that_are_over(shop: Shop) -> None:
    """They lie in front of the queued ones, and most of what PostgreSQL knows of is queued: it may think one of those near."""
    await many_jobs(shop, "loaded", "2024-01-02")
    await many_jobs(shop, "queued", None)
    await many_jobs(shop, "queued", None)
    values = {**NOTHING_INHERITED, "kinds": ["user"], "children": [], "parents": []}
    statement = load("etl_worker.file_loader", "jobs.sql")["candidate"]
    assert await rows_looked_at(shop.conn, statement, values) < MANY / 10
    assert await (await shop.conn.execute(statement, values)).fetchone() is not None


async def test_the_job_that_a_file_may_repeat_is_found_without_a_look_at_all_that_are_queued(
    shop: Shop,
) -> None:
    await many_jobs(shop, "loaded", "2024-01-02")
    await many_jobs(shop, "queued", None)
    values = {"source": "acme", "kind": "user", "job_id": uuid4()}
    statement = load("etl_worker.file_loader", "jobs.sql")["newest_like_this"]
    assert await rows_looked_at(shop.conn, statement, values) < MANY / 10
    row = await (await shop.conn.execute(statement, values)).fetchone()
    newest = await shop.conn.execute(
        "SELECT job_id FROM shop.file_jobs WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1"
    )
    assert row is not None
    assert [row[0]] == list(await newest.fetchone() or ())


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


async def test_a_database_that_is_not_migrated_is_refused(shop: Shop) -> None:
    empty = sql.Identifier(f"{shop.database.name}_empty")
    server = shop.database.server
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(empty))
        try:
            dsn = server.dsn(f"{shop.database.name}_empty", "tillstream_worker")
            settings = LoaderSettings(
                env="development", ops_port=0, database_url=SecretStr(dsn), data_dir=shop.folders.root
            )
            app = build(settings, shop.ports())
            with pytest.raises(Misconfigured, match="tillstream migrate"):
                await app.runner.run_next()
        finally:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(empty))


async def test_a_record_that_is_no_job_is_kept_once_however_often_it_is_sent(shop: Shop) -> None:
    now = datetime.now(UTC)
    for offset, value in enumerate([b"no job", b"no job", b"nor this", b"no job"]):
        async with shop.conn.transaction():
            await shop.app.queue(shop.conn, [Record(FILES_TOPIC, 0, offset, None, value, (), now)])
    kept = await shop.rows("SELECT payload, kafka_offset FROM shop.quarantine ORDER BY kafka_offset")
    assert [(bytes(row["payload"]), row["kafka_offset"]) for row in kept] == [
        (b"no job", 0),
        (b"nor this", 2),
    ]


async def test_a_batch_that_cannot_be_read_is_kept_as_that(shop: Shop) -> None:
    record = Record(FILES_TOPIC, 0, 7, None, b"packed", (), datetime.now(UTC), "It is too large.")
    async with shop.conn.transaction():
        await shop.app.queue(shop.conn, [record])
    [kept] = await shop.rows("SELECT reason, message, payload FROM shop.quarantine")
    assert (kept["reason"], kept["message"]) == ("unreadable_batch", "It is too large.")
    assert bytes(kept["payload"]) == b"packed"


class Gate:
    """An engine that waits in its first chunk until it may go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self._engine = Engine()

    async def apply(self, conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        self.reached.set()
        await self.open.wait()
        return await self._engine.apply(conn, messages)


async def test_a_loader_that_lost_its_job_to_another_one_does_not_take_it_back(shop: Shop) -> None:
    job = shop.claim("users.csv", USERS)
    await shop.queue(job)
    gates = Gate(), Gate()
    first, second = (shop.start(replace(shop.ports(), apply=gate.apply)).runner for gate in gates)
    async with asyncio.timeout(DEADLINE_S):
        loses = asyncio.create_task(first.run_next())
        await gates[0].reached.wait()
        wins = asyncio.create_task(second.run_next())
        await gates[1].reached.wait()
        gates[0].open.set()
        with pytest.raises(DatabaseUnavailable):
            await loses
        assert await first.run_next() is None
        gates[1].open.set()
        statement = await wins
    assert statement is not None
    assert (statement.status, statement.loaded) == ("loaded", 3 * CHUNK_ROWS)
    assert await first.run_next() is None
    assert (await shop.job(job.job_id))["lease_epoch"] == 2


async def test_a_lease_is_inherited_once(shop: Shop) -> None:
    """Of two loaders that start at once, the slower one leaves the job to the quicker one."""
    await shop.queue(shop.claim("users.csv", USERS))
    jobs, no_wait = Jobs(), timedelta()
    owner, quick, slow = [
        await connect(shop.database.worker_dsn, application_name="loader-test") for _ in range(3)
    ]
    async with owner, quick, slow:
        taken = await jobs.take(owner, no_wait, {})
        inherited = await jobs.running(quick)
        again = await jobs.take(quick, no_wait, inherited)
        assert taken is not None
        assert again is not None
        assert again.job_id == taken.job_id
        assert await jobs.take(slow, no_wait, inherited) is None


class MovedClock(SystemClock):
    """The system's clock, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    @override
    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def test_an_attempt_that_was_rolled_back_counts_in_the_time_a_file_took(shop: Shop) -> None:
    clock = MovedClock()
    commits = 0

    async def commit_after_a_conflict(conn: AsyncConnection) -> None:
        nonlocal commits
        commits += 1
        if commits == 1:
            raise errors.SerializationFailure
        await commit(conn)

    async def apply_for_a_minute_at_first(
        conn: AsyncConnection, messages: Sequence[Message]
    ) -> Sequence[Applied]:
        if commits == 0:
            clock.ahead_s += MINUTE_S
        return await Engine().apply(conn, messages)

    ports = replace(
        shop.ports(), clock=clock, apply=apply_for_a_minute_at_first, commit=commit_after_a_conflict
    )
    shop.start(ports)
    job = await shop.load("users.csv", USERS)
    assert (job["status"], job["loaded"], commits) == ("loaded", 3 * CHUNK_ROWS, 4)
    assert MINUTE_S <= job["elapsed_seconds"] < 2 * MINUTE_S


class LaggingJobs(Jobs):
    """Sees the lags of a list in the stream, one per look."""

    def __init__(self, lags: Iterator[int]) -> None:
        super().__init__()
        self.seen: list[int] = []
        self._lags = lags

    @override
    async def stream(self, conn: AsyncConnection) -> Stream:
        self.seen.append(next(self._lags))
        return Stream(self.seen[-1], 0)


async def test_a_file_makes_way_between_chunks_while_the_stream_lags(shop: Shop) -> None:
    jobs = LaggingJobs(iter([0, MUCH, MUCH, 0, 0, 0]))
    engine = Engine()
    looks_before_chunk = []

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        looks_before_chunk.append(list(jobs.seen))
        return await engine.apply(conn, messages)

    shop.start(replace(shop.ports(), jobs=jobs, apply=apply))
    assert (await shop.load("users.csv", USERS))["status"] == "loaded"
    assert looks_before_chunk == [[0], [0, MUCH, MUCH, 0], [0, MUCH, MUCH, 0, 0]]


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
    assert jobs.seen == [MUCH] * 4


async def test_the_lag_is_that_of_the_streams_moving_partitions(shop: Shop) -> None:
    await shop.conn.execute(
        "INSERT INTO shop.partition_progress (topic, kafka_partition, next_offset, log_end, measured_at, stopped_at)"
        " VALUES ('shop.events.v1', 0, 10, 17, now(), NULL), ('shop.orders.v1', 0, 5, 5, now(), NULL),"
        " ('shop.events.v1', 1, 0, 100, now() - interval '1 minute', NULL), ('shop.users.v1', 0, 0, 100, now(), now()),"
        " ('shop.files.v1', 0, 0, 100, now(), NULL)"
    )
    assert await Jobs().stream(shop.conn) == Stream(lag=7, position=15)


async def test_what_waits_and_how_it_ended_is_measured(shop: Shop) -> None:
    value = shop.app.metrics.registry.get_sample_value
    assert value("tillstream_files_ended_total", {"state": "failed"}) == 0
    await shop.queue(shop.claim("users.csv", USERS))
    await shop.conn.execute("UPDATE shop.file_jobs SET claimed_at = now() - interval '1 hour'")
    await shop.app.tidy.once()
    assert value("tillstream_files_by_state", {"state": "queued"}) == 1
    assert value("tillstream_oldest_waiting_file_age_seconds") == pytest.approx(3_600, abs=60)
    await shop.run_all()
    await shop.app.tidy.once()
    assert value("tillstream_files_by_state", {"state": "queued"}) == 0
    assert value("tillstream_oldest_waiting_file_age_seconds") == 0
    assert value("tillstream_files_ended_total", {"state": "loaded"}) == 1
