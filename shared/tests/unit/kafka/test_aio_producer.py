"""What a batch is when it is handed to aiokafka."""

import pytest
from aiokafka import AIOKafkaProducer

from tillstream.kafka.aio_producer import COMPRESS_FROM_BYTES, _Sender
from tillstream.kafka.records import Outgoing

pytestmark = pytest.mark.unit

BATCH_BYTES = 64 * 1024
FLAGS_AT, CODEC, ZSTD = 22, 0x07, 4


@pytest.mark.parametrize(("size", "codec"), [(COMPRESS_FROM_BYTES - 1, 0), (COMPRESS_FROM_BYTES, ZSTD)])
async def test_only_a_batch_of_some_size_is_compressed(size: int, codec: int) -> None:
    producer = AIOKafkaProducer(compression_type="zstd", max_batch_size=BATCH_BYTES)
    batch = _Sender(producer, BATCH_BYTES).new_batch(size)
    assert batch.extend([Outgoing("t", b"k", b"v")], 0) == 1
    assert batch.builder._build()[FLAGS_AT] & CODEC == codec
    await producer.stop()


async def test_a_batch_that_began_small_takes_what_one_may_have() -> None:
    producer = AIOKafkaProducer(max_batch_size=BATCH_BYTES)
    records = [Outgoing("t", b"k", b"v" * 1_000)] * 100
    taken = _Sender(producer, BATCH_BYTES).new_batch(1).extend(records, 0)
    assert 0 < taken < len(records)
    await producer.stop()
