"""A partition that brings rubbish is stopped, its neighbours are not, and an operator lets it go on."""

from collections.abc import Sequence
from typing import override

import pytest

from etl_worker import app as composition
from etl_worker.app import App
from etl_worker.reject_alarm import RejectAlarm, Weighed, Window
from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.contracts.entities import USERS_TOPIC, Entity
from tillstream.contracts.messages import Message
from tillstream.contracts.plain_events import PlainEvent
from tillstream.contracts.topics import RECORD_PARTITIONS
from tillstream.kafka.partitions import partition_of
from tillstream.testing.builders import Item, user_item
from tillstream.testing.waiting import eventually

from .conftest import DEADLINE_S, Works, metric
from .real_broker import real_works

pytestmark = pytest.mark.integration

WINDOW = 1_000
ALMOST = 400  # more than half of a window only together with what came before
BAD_KEY, GOOD_KEY = b"1", b"2"
BAD_PARTITION = partition_of(BAD_KEY, RECORD_PARTITIONS)
RUBBISH = b'{"user_id": 0}'
STOPPED = "SELECT kafka_partition FROM shop.partition_progress WHERE stopped_at IS NOT NULL"
FRESHNESS = "SELECT topic, partition, stop_reason FROM api.partitions WHERE stopped_at IS NOT NULL"
RESUME = "UPDATE shop.partition_progress SET stopped_at = NULL, stop_reason = NULL"
COUNTS = "SELECT (SELECT count(*) FROM shop.users), (SELECT count(*) FROM shop.quarantine)"
REASON = "1000 of 1000 records in a row broke their contract; more than 50% is too many."


def users(begin: int, count: int) -> list[Item]:
    return [user_item(user_id=each, email=f"{each}@example.org") for each in range(begin, begin + count)]


def shown_as_stopped(app: App) -> bool:
    return metric(app, "tillstream_partition_stopped", topic=USERS_TOPIC, partition=str(BAD_PARTITION)) == 1


async def flood(works: Works) -> None:
    """Rubbish on one partition, good records behind it and beside it."""
    await works.publish(Entity.USER, *[RUBBISH] * WINDOW, key=BAD_KEY)
    async with works.running() as app:
        await works.has(STOPPED, (BAD_PARTITION,))
        await works.publish(Entity.USER, *users(1_000, 10), key=BAD_KEY)
        await works.publish(Entity.USER, *users(2_000, 10), key=GOOD_KEY)
        await works.has(COUNTS, (10, WINDOW))
        await eventually(lambda: shown_as_stopped(app), DEADLINE_S)
    assert await works.rows(FRESHNESS) == [(USERS_TOPIC, BAD_PARTITION, REASON)]


async def resume(works: Works) -> None:
    """Another worker leaves it alone, too; then an operator lets it go on, and a little more rubbish is no alarm."""
    async with works.running() as app:
        await eventually(lambda: shown_as_stopped(app), DEADLINE_S)
        await works.has(COUNTS, (10, WINDOW))
        await works.rows(f"{RESUME} RETURNING topic")
        await works.publish(Entity.USER, *[RUBBISH] * ALMOST, *users(3_000, 10), key=BAD_KEY)
        await works.has(COUNTS, (30, WINDOW + ALMOST))
        await eventually(lambda: not shown_as_stopped(app), DEADLINE_S)
    assert await works.rows(STOPPED) == []


async def test_a_flood_of_rubbish_stops_its_partition_until_an_operator_resumes_it(
    database: Database, kafka_server: KafkaServer
) -> None:
    async with real_works(database, kafka_server) as works:
        await flood(works)
        await resume(works)
        ends = "SELECT sum(next_offset), sum(log_end - next_offset) FROM shop.partition_progress"
        await works.has(ends, (WINDOW + ALMOST + 30, 0))


async def resume_at_once(works: Works) -> None:
    """The same within one process, which counted what led to the stop."""
    await works.publish(Entity.USER, *[RUBBISH] * WINDOW, key=BAD_KEY)
    async with works.running():
        await works.has("SELECT count(*) FROM shop.partition_progress WHERE stopped_at IS NOT NULL", (1,))
        await works.rows(f"{RESUME} RETURNING topic")
        await works.publish(Entity.USER, *[RUBBISH] * ALMOST, *users(1, 10), key=BAD_KEY)
        await works.has(COUNTS, (10, WINDOW + ALMOST))
        await works.publish(Entity.USER, *users(100, 10), key=BAD_KEY)
        await works.has(COUNTS, (20, WINDOW + ALMOST))


async def test_what_led_to_a_stop_does_not_stop_it_again(works: Works) -> None:
    await resume_at_once(works)


class Resentful(RejectAlarm):
    """Planted: what led to the stop still counts after the resume."""

    @override
    def count(self, weighed: Weighed) -> None:
        super().count(weighed)
        full = (self._policy.slice_records,) * 10
        for place in weighed.stop:
            self._windows[place] = Window(weighed.windows[place].counted_to, full)


class Deaf(RejectAlarm):
    """Planted: the batch that should stop its partition does not say so."""

    @override
    def weigh(self, messages: Sequence[Message | PlainEvent]) -> Weighed:
        return Weighed(super().weigh(messages).windows)


@pytest.mark.parametrize("bug", [Deaf, Resentful])
async def test_a_planted_bug_is_found(
    works: Works, bug: type[RejectAlarm], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "RejectAlarm", bug)
    with pytest.raises(AssertionError):
        await resume_at_once(works)
