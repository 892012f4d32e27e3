"""Everything hostile at once, straight into a real broker and through the whole worker; a ledger says what became of it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.contracts.entities import TOPIC_OF, USERS_TOPIC, Entity
from tillstream.contracts.topics import RECORD_PARTITIONS
from tillstream.kafka import aio_consumer
from tillstream.kafka.detour import read_around
from tillstream.kafka.log_format import LoggedRecord, Stretch
from tillstream.kafka.records import Place
from tillstream.testing.waiting import eventually

from .conftest import DEADLINE_S, Works
from .hostile_records import Hostile, hostile_records, neighbour
from .memory import growing_less_than
from .raw_batches import CODECS, RawRecord, send_raw
from .real_broker import real_works

pytestmark = pytest.mark.fault

PARTITIONS = 3  # few, so that every partition gets many of them
UNDECLARED_PARTITION = RECORD_PARTITIONS
ROOMY_BYTES = 500_000  # what is larger gets a batch of its own
APPLIED_WITHIN_S = 60.0  # a hundred megabytes, most of them in JSON that is looked through to its end
GROWTH_KIB = 400 * 1024
SETTLED = """
SELECT topic, kafka_partition, kafka_offset, payload FROM shop.quarantine
UNION ALL
SELECT topic, kafka_partition, kafka_offset, NULL FROM shop.changes WHERE outcome <> 'quarantined'
UNION ALL
SELECT 'shop.events.v1', kafka_partition, kafka_offset, NULL FROM shop.events
"""
LAG = """
SELECT count(*), coalesce(sum(log_end - next_offset), -1), count(stopped_at),
    (SELECT sum(next_offset) FROM shop.consumer_offsets)
FROM shop.partition_progress
"""


@dataclass
class Ledger:
    """Every record that was sent: what it was called, and the payload that quarantine must have of it, or None."""

    sent: dict[tuple[Place, int], tuple[str, bytes | None]] = field(default_factory=dict)

    async def send(
        self, producer: AIOKafkaProducer, place: Place, name: str, hostile: Hostile, codec: int
    ) -> None:
        """A hostile record between two good ones; a large one in a batch of its own."""
        record = hostile.record
        kept = None if hostile.is_kept else record.value or b""
        named = [("good", neighbour(), None), (name, record, kept), ("good", neighbour(), None)]
        if place.topic != USERS_TOPIC:
            named = named[1:2]
        size = len(repr(record))
        for batch in [[each] for each in named] if size > ROOMY_BYTES else [named]:
            records: list[RawRecord] = [each[1] for each in batch]
            offsets = await send_raw(producer, place, records, codec)
            for offset, (called, _, payload) in zip(offsets, batch, strict=True):
                self.sent[place, offset] = called, payload

    async def problems(self, works: Works) -> list[str]:
        """What is missing, doubled, on the wrong side, or not byte for byte what was sent."""
        rows = await works.rows(SETTLED)
        found = {(Place(row[0], row[1]), row[2]): row[3] for row in rows}
        times = Counter((Place(row[0], row[1]), row[2]) for row in rows)
        problems = [f"{times[at]} times: {self.sent.get(at, at)} at {at}" for at in times if times[at] > 1]
        problems += [f"missing: {self.sent[at][0]} at {at}" for at in self.sent.keys() - found.keys()]
        problems += [f"from nowhere: {at}" for at in found.keys() - self.sent.keys()]
        return problems + [
            f"not as it should be: {name} at {at}"
            for at, (name, payload) in self.sent.items()
            if at in found and found[at] != payload
        ]


async def add_a_partition(bootstrap: str) -> None:
    """One that no declaration knows; returns once it has a leader."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({USERS_TOPIC: NewPartitions(UNDECLARED_PARTITION + 1)})

        async def leads() -> bool:
            [topic] = await admin.describe_topics([USERS_TOPIC])
            leaders = [part["leader"] for part in topic["partitions"]]
            return len(leaders) > UNDECLARED_PARTITION and min(leaders) >= 0

        await eventually(leads, DEADLINE_S)
    finally:
        await admin.close()


async def send_everything(bootstrap: str, only: str = "") -> Ledger:
    """All of the table whose names have `only` in them, in every compression, spread over a few partitions."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=4 * 1024 * 1024)
    await producer.start()
    ledger, partitions = Ledger(), cycle(range(PARTITIONS))
    try:
        for codec in CODECS:
            for name, hostile in hostile_records().items():
                if only not in name:
                    continue
                place = Place(TOPIC_OF[hostile.entity], next(partitions))
                await ledger.send(producer, place, name, hostile, codec)
        undeclared = Hostile(Entity.USER, RawRecord(b"1", b"{"))
        await ledger.send(producer, Place(USERS_TOPIC, UNDECLARED_PARTITION), "undeclared", undeclared, 0)
    finally:
        await producer.stop()
    return ledger


async def applied(works: Works, ledger: Ledger) -> list[str]:
    """Let a worker apply everything, and say what is wrong then."""
    async with works.running():
        everything = (4 * RECORD_PARTITIONS + 1, 0, 0, len(ledger.sent))
        await works.has(LAG, everything, within_s=APPLIED_WITHIN_S)
    return await ledger.problems(works)


async def test_each_hostile_record_is_stored_or_quarantined_exactly_once(
    database: Database, kafka_server: KafkaServer
) -> None:
    async with real_works(database, kafka_server) as works:
        await add_a_partition(kafka_server.bootstrap)
        ledger = await send_everything(kafka_server.bootstrap)
        with growing_less_than(GROWTH_KIB):
            assert await applied(works, ledger) == []


def without_odd_names(stretch: Stretch) -> list[LoggedRecord]:
    return [each for each in stretch.records if not any("\\xff" in name for name, _ in each.headers)]


async def test_a_detour_that_leaves_out_what_it_is_for_is_found(
    database: Database, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(*question: Any) -> dict[Place, Stretch]:
        found = await read_around(*question)
        return {
            place: stretch._replace(records=without_odd_names(stretch)) for place, stretch in found.items()
        }

    monkeypatch.setattr(aio_consumer, "read_around", forgetful)
    async with real_works(database, kafka_server) as works:
        await add_a_partition(kafka_server.bootstrap)
        ledger = await send_everything(kafka_server.bootstrap, only="odd_name")
        assert any("missing: rubbish_under_an_odd_name" in each for each in await applied(works, ledger))


async def test_without_the_detour_one_odd_name_ends_the_worker_again_and_again(
    database: Database, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason for the detour; should aiokafka read such names one day, it may go."""
    monkeypatch.setattr(aio_consumer, "_is_unreadable", lambda _error: False)
    async with real_works(database, kafka_server) as works:
        await add_a_partition(kafka_server.bootstrap)
        await send_everything(kafka_server.bootstrap, only="odd_name")
        for _ in range(2):
            with pytest.raises(UnicodeDecodeError):
                await asyncio.wait_for(works.app().run(asyncio.Event()), DEADLINE_S)
