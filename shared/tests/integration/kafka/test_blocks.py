"""Records in columns from a real broker: the same records, wherever a fetch begins and however little it may bring."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import override
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.codec import gzip_encode, lz4_encode
from aiokafka.producer.message_accumulator import BatchBuilder

from support.kafka import KafkaServer
from tillstream.contracts.parts import parts_of
from tillstream.contracts.plain_columns import EVENT_FORM
from tillstream.contracts.topics import TOPIC_CONFIG, TopicSpec
from tillstream.kafka.aio import AioConsumer, AioProducer, ConsumerPolicy
from tillstream.kafka.log_columns import Block
from tillstream.kafka.rebalance import Rebalance
from tillstream.kafka.records import Outgoing, Place, Record
from tillstream.kafka.topics import ensure_topics
from tillstream.testing.log_batches import RECORDS_FROM, log_batch, lying_batch, plain_event, sealed
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.integration

DEADLINE_S = 15.0
QUICK = ConsumerPolicy(session_s=3.0, heartbeat_s=0.2, rebalance_s=5.0, request_s=10.0)
COUNT, ODD_ONE = 3_000, 1_700
PLENTY = 10**9


@pytest.fixture
async def place(kafka_server: KafkaServer) -> Place:
    """A partition with plain events and, among them, one record that is none."""
    topic = f"blocks-{uuid4().hex[:12]}"
    await ensure_topics(kafka_server.bootstrap, [TopicSpec(topic, 1, TOPIC_CONFIG)], deadline_s=DEADLINE_S)
    events = [plain_event(number) for number in range(COUNT)]
    events[ODD_ONE] = events[ODD_ONE]._replace(value=b"{")
    producer = AioProducer(kafka_server.bootstrap, client_id="t")
    await producer.start()
    try:
        outgoing = [Outgoing(topic, each.key, each.value or b"", each.headers) for each in events]
        for begin in range(0, COUNT, 500):
            results = await producer.publish(outgoing[begin : begin + 500], DEADLINE_S)
            assert all(result.acknowledged for result in results)
    finally:
        await producer.stop()
    return Place(topic, 0)


@pytest.fixture
async def consumer(kafka_server: KafkaServer, place: Place) -> AsyncIterator[AioConsumer]:
    forms = {place.topic: EVENT_FORM}
    consumer = AioConsumer(
        kafka_server.bootstrap, group=place.topic, client_id="t", policy=QUICK, forms=forms
    )
    await consumer.start([place.topic], Rebalance(0.0))
    await eventually(lambda: place in consumer.assigned(), DEADLINE_S)
    yield consumer
    await consumer.stop(DEADLINE_S)


async def fetch_all(
    consumer: AioConsumer, count: int, *, max_records: int = PLENTY, max_bytes: int = PLENTY
) -> list[Sequence[Record]]:
    """Fetches until so many records have come."""
    fetched: list[Sequence[Record]] = []
    async with asyncio.timeout(4 * DEADLINE_S):
        while sum(map(len, fetched)) < count:
            fetched.append(await consumer.fetch(max_records=max_records, max_bytes=max_bytes, wait_s=1.0))
    return fetched


def offsets(fetched: Sequence[Sequence[Record]]) -> list[int]:
    return [record.offset for records in fetched for record in records]


class Ready(BatchBuilder):  # type: ignore[misc] # aiokafka's classes have no types
    """A batch that was built elsewhere."""

    def __init__(self, batch: bytes) -> None:
        super().__init__(len(batch), 0)
        assert self.append(timestamp=None, key=None, value=b"") is not None, "or it would not be sent"
        self._ready = bytearray(batch)

    @override
    def _build(self) -> bytearray:
        return self._ready


async def send_ready(server: KafkaServer, place: Place, batches: Sequence[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=server.bootstrap)
    await producer.start()
    try:
        for batch in batches:
            await (await producer.send_batch(Ready(batch), place.topic, partition=place.partition))
    finally:
        await producer.stop()


async def test_offsets_that_a_sender_makes_up_are_not_believed(
    consumer: AioConsumer, place: Place, kafka_server: KafkaServer
) -> None:
    """A broker takes them, of what is not compressed: the records behind them would be passed over, or be thought gone."""
    records = [plain_event(number) for number in range(3)]
    lies = [[0, 1, 5_000], [0, 0, 0], [0, 1, 2]]
    await send_ready(kafka_server, place, [lying_batch(records, deltas, flags=0) for deltas in lies])
    consumer.seek(place, COUNT)
    fetched = await fetch_all(consumer, 9)
    assert offsets(fetched) == list(range(COUNT, COUNT + 9))
    assert [record.value for part in fetched for record in part] == [record.value for record in records] * 3


@pytest.mark.parametrize(("codec", "encode"), [(1, gzip_encode), (3, lz4_encode)])
@pytest.mark.parametrize("value", [None, b"{"])
async def test_rubbish_behind_what_is_packed_holds_nothing_up(
    consumer: AioConsumer,
    place: Place,
    kafka_server: KafkaServer,
    codec: int,
    encode: Callable[[bytes], bytes],
    value: bytes | None,
) -> None:
    """A broker takes it: Java's readers stop at the end of the stream. So it does in columns, and with an odd record among them."""
    records = [plain_event(number) for number in range(20)]
    records[7] = records[7]._replace(value=value or records[7].value)
    plain = log_batch(records, flags=codec)
    packed = plain[:RECORDS_FROM] + encode(plain[RECORDS_FROM:]) + b"rubbish" * 7
    await send_ready(kafka_server, place, [sealed(packed), log_batch(records, flags=0)])
    consumer.seek(place, COUNT)
    fetched = await fetch_all(consumer, 40)
    assert offsets(fetched) == list(range(COUNT, COUNT + 40))
    assert [record.value for part in fetched for record in part] == [record.value for record in records] * 2


async def test_plain_batches_come_in_columns_and_the_others_one_by_one(
    consumer: AioConsumer, place: Place
) -> None:
    consumer.seek(place, 0)
    fetched = await fetch_all(consumer, COUNT)
    assert offsets(fetched) == list(range(COUNT))
    parts = [part for records in fetched for part in parts_of(records)]
    in_blocks = {record.offset for part in parts if isinstance(part, Block) for record in part}
    assert in_blocks
    assert ODD_ONE not in in_blocks
    values = [record.value for part in parts for record in part]
    assert values == [b"{" if at == ODD_ONE else plain_event(at).value for at in range(COUNT)]


@pytest.mark.parametrize("max_records", [7, 600])
async def test_a_fetch_brings_no_more_records_than_it_may_and_the_next_one_goes_on(
    consumer: AioConsumer, place: Place, max_records: int
) -> None:
    consumer.seek(place, 0)
    wanted = min(COUNT, 20 * max_records)
    fetched = await fetch_all(consumer, wanted, max_records=max_records)
    assert max(map(len, fetched)) <= max_records
    assert offsets(fetched) == list(range(len(offsets(fetched))))


async def test_a_fetch_ends_with_the_bytes_that_it_may_bring(consumer: AioConsumer, place: Place) -> None:
    consumer.seek(place, 0)
    fetched = await fetch_all(consumer, 400, max_bytes=20_000)
    assert offsets(fetched) == list(range(len(offsets(fetched))))
    assert max(map(len, fetched)) < 100


async def test_whoever_seeks_into_a_batch_goes_on_there(consumer: AioConsumer, place: Place) -> None:
    for begin in (1_234, 3):
        consumer.seek(place, begin)
        assert offsets(await fetch_all(consumer, COUNT - begin)) == list(range(begin, COUNT))
