"""A log that is not the one applied so far is refused; an operator's command lets the worker go on, and no id counts twice."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from etl_worker.app import App
from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.cli.main import main
from tillstream.contracts.entities import TOPIC_OF, USERS_TOPIC, Entity
from tillstream.contracts.topics import TOPICS
from tillstream.errors import Misconfigured
from tillstream.kafka.aio import AioProducer
from tillstream.kafka.records import Outgoing
from tillstream.kafka.topics import ensure_topics
from tillstream.testing.builders import user_item
from tillstream.testing.waiting import eventually

from .conftest import DEADLINE_S, envelope, metric
from .real_broker import RealWorks, real_works

pytestmark = [pytest.mark.integration, pytest.mark.fault]

COMMAND = re.compile(r"`tillstream (partitions accept [^`]+)`")
COUNT = "SELECT count(*) FROM shop.users"
STOP_ALL = f"""
UPDATE shop.partition_progress SET stopped_at = now(), stop_reason = 'a test' WHERE topic = '{USERS_TOPIC}' RETURNING 1
"""
FENCE = "SELECT kafka_partition, next_offset FROM shop.consumer_offsets WHERE topic = 'shop.users.v1'"


def users(first: int, last: int) -> list[Outgoing]:
    """Records of these users, each with an id of its own; published again, they are the same ones."""
    return [
        envelope(
            Entity.USER,
            json.dumps(user_item(user_id=n, email=f"u{n}@example.org")).encode(),
            key=str(n).encode(),
        )
        for n in range(first, last + 1)
    ]


class Road:
    """The worker, its broker and the operator's command line."""

    def __init__(self, works: RealWorks, capsys: pytest.CaptureFixture[str]) -> None:
        self.works = works
        self._capsys = capsys

    async def publish(self, records: Sequence[Outgoing]) -> None:
        producer = AioProducer(self.works.settings.kafka_bootstrap, client_id="test")
        await producer.start()
        results = await producer.publish(records, DEADLINE_S)
        await producer.stop()
        assert all(result.acknowledged for result in results)

    async def refusal(self) -> str:
        """What the worker says as it ends."""
        with pytest.raises(Misconfigured) as raised:
            await asyncio.wait_for(self.works.app().run(asyncio.Event()), DEADLINE_S)
        return str(raised.value)

    async def operate(self, *arguments: str) -> tuple[int, str]:
        self._capsys.readouterr()
        code = await asyncio.to_thread(main, list(arguments))
        said = self._capsys.readouterr()
        return code, said.out + said.err

    async def follow(self, refusal: str) -> str:
        """Does what the refusal says, and returns what the command says."""
        named = COMMAND.search(refusal)
        assert named is not None, refusal
        code, said = await self.operate(*shlex.split(named[1]), "--yes")
        assert code == 0, said
        return said

    async def fence(self) -> dict[int, int]:
        return dict(await self.works.rows(FENCE))

    async def drained(self, app: App, total: int) -> None:
        """Until every record of the users' log of now is applied; `total` users are there then."""

        async def done() -> bool:
            [(lag,)] = await self.works.rows(
                "SELECT sum(p.log_end - o.next_offset) FROM shop.partition_progress p"
                " JOIN shop.consumer_offsets o USING (topic, kafka_partition)"
                f" WHERE topic = '{USERS_TOPIC}' AND p.measured_at > o.updated_at"
            )
            return lag == 0 and await self.works.rows(COUNT) == [(total,)]

        await eventually(done, DEADLINE_S)
        assert metric(app, "tillstream_applied_records_total", entity="user", outcome="quarantined") == 0


@pytest.fixture
async def road(
    database: Database,
    kafka_server: KafkaServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Road]:
    monkeypatch.setenv("TILLSTREAM_ENV", "development")
    monkeypatch.setenv("TILLSTREAM_OPERATOR_DATABASE_URL", database.operator_dsn)
    monkeypatch.setenv("TILLSTREAM_KAFKA_BOOTSTRAP", kafka_server.bootstrap)
    async with real_works(database, kafka_server) as works:
        yield Road(works, capsys)


async def applied(road: Road, count: int) -> None:
    """Users 1 to `count`, published and applied by a worker that has ended since."""
    await road.publish(users(1, count))
    async with road.works.running() as app:
        await road.drained(app, count)


async def make_anew(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([USERS_TOPIC])

        async def gone() -> bool:
            return USERS_TOPIC not in await admin.list_topics()

        await eventually(gone, DEADLINE_S)
    finally:
        await admin.close()
    await ensure_topics(bootstrap, TOPICS, deadline_s=DEADLINE_S)


async def test_a_topic_that_was_made_anew_is_read_from_its_beginning_and_no_id_counts_twice(
    road: Road,
) -> None:
    records = users(1, 60)
    await road.publish(records)
    async with road.works.running() as app:
        await road.drained(app, 60)
    stored = await road.works.rows("SELECT user_id, version, stored_at FROM shop.users ORDER BY 1")
    await make_anew(road.works.settings.kafka_bootstrap)
    await road.publish([*records[:30], *users(61, 70)])

    refusal = await road.refusal()
    assert "it was made anew" in refusal
    said = await road.follow(refusal)
    assert "From 0 on it reads" in said
    assert "12 partitions go on from there once a worker takes over." in said
    assert set((await road.fence()).values()) == {0}

    async with road.works.running() as app:
        await road.drained(app, 70)
        await eventually(lambda: outcomes(app, "duplicate") == 30)
        assert outcomes(app, "stored") == 10
    assert sum((await road.fence()).values()) == 40
    again = await road.works.rows(
        "SELECT user_id, version, stored_at FROM shop.users WHERE user_id <= 60 ORDER BY 1"
    )
    assert again == stored


async def test_a_topic_that_was_made_anew_is_refused_however_far_it_reaches(road: Road) -> None:
    """Each of its logs ends behind the offset at which the worker would go on."""
    await applied(road, 60)
    before = await road.fence()
    await make_anew(road.works.settings.kafka_bootstrap)
    await road.publish(users(1, 120))

    refusal = await road.refusal()
    assert refusal.count("was read from the topic of id") == 12
    assert await road.fence() == before
    said = await road.follow(refusal)
    assert "12 partitions go on from there once a worker takes over." in said

    async with road.works.running() as app:
        await road.drained(app, 120)
    assert sum((await road.fence()).values()) == 120


async def test_a_topic_that_is_made_anew_under_a_running_worker_is_refused(road: Road) -> None:
    """Its partitions are stopped, so that no fetch at an offset that is not there (yet) can tell."""
    await road.publish(users(1, 60))
    app, stop = road.works.app(), asyncio.Event()
    running = asyncio.create_task(app.run(stop), name="worker")
    try:
        await road.drained(app, 60)
        await road.works.rows(STOP_ALL)
        await eventually(lambda: stopped(app) == 12)
        before = await road.fence()
        await make_anew(road.works.settings.kafka_bootstrap)
        await road.publish(users(1, 120))
        await asyncio.wait({running}, timeout=DEADLINE_S)
        assert running.done()
        with pytest.raises(Misconfigured, match="the topic of id") as raised:
            running.result()
        assert await road.fence() == before
    finally:
        stop.set()
        await asyncio.wait({running}, timeout=DEADLINE_S)

    await road.follow(str(raised.value))
    assert (await road.operate("partitions", "resume", "--all"))[0] == 0
    async with road.works.running() as app:
        await road.drained(app, 120)


def stopped(app: App) -> float:
    return sum(
        metric(app, "tillstream_partition_stopped", topic=USERS_TOPIC, partition=str(each))
        for each in range(12)
    )


def outcomes(app: App, outcome: str) -> float:
    return metric(app, "tillstream_applied_records_total", entity="user", outcome=outcome)


async def delete_before(bootstrap: str, partition: int, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        place = TopicPartition(TOPIC_OF[Entity.USER], partition)
        await admin.delete_records({place: RecordsToDelete(offset)}, timeout_ms=5_000)
    finally:
        await admin.close()


async def test_where_retention_passed_only_what_is_gone_is_skipped(road: Road) -> None:
    await applied(road, 60)
    before = await road.fence()
    await road.publish(users(61, 180))
    await delete_before(road.works.settings.kafka_bootstrap, 3, before[3] + 2)

    refusal = await road.refusal()
    assert f"{USERS_TOPIC}[3] goes on at offset {before[3]}" in refusal
    assert "retention has passed" in refusal
    said = await road.follow(refusal)
    assert f"From {before[3] + 2} on it skips 2 records that the log no longer has." in said
    assert "1 partition goes on" in said
    assert await road.fence() == {**before, 3: before[3] + 2}

    async with road.works.running() as app:
        await road.drained(app, 178)
        assert outcomes(app, "duplicate") == 0


async def test_another_cluster_is_accepted_at_a_chosen_offset(road: Road) -> None:
    await applied(road, 60)
    before = await road.fence()
    await mark_as_another_cluster(road, 3)

    refusal = await road.refusal()
    assert "Kafka cluster another" in refusal
    code, said = await road.operate(
        "partitions", "accept", USERS_TOPIC, "3", "--from", str(before[3] + 1), "--yes"
    )
    assert (code, f"--from must be from 0 to {before[3]}" in said) == (2, True)
    code, said = await road.operate(
        "partitions", "accept", USERS_TOPIC, "3", "--from", str(before[3]), "--yes"
    )
    assert code == 0
    assert (
        f"From {before[3]} on it reads 0 records of the log of now, known ids once, and skips {before[3]}"
        in said
    )

    await road.publish(users(61, 80))
    async with road.works.running() as app:
        await road.drained(app, 80)
        assert outcomes(app, "duplicate") == 0


async def mark_as_another_cluster(road: Road, partition: int) -> None:
    found = await road.works.rows(
        "UPDATE shop.consumer_offsets SET cluster_id = 'another'"
        f" WHERE topic = '{USERS_TOPIC}' AND kafka_partition = {partition} RETURNING 1"
    )
    assert found == [(1,)]
