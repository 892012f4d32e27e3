"""Record batches with what no client library would write, sent as they are."""

from collections.abc import Callable, Mapping, Sequence
from struct import Struct, pack_into
from typing import NamedTuple, override

from aiokafka import AIOKafkaProducer
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

from tillstream.kafka.records import Place

MAX_BATCH_BYTES = 2 * 1024 * 1024
# Where the parts of a batch's head stand, in bytes.
LENGTH, CRC, ATTRIBUTES, RECORDS = 8, 17, 21, 61
LENGTH_ENDS = 12
_NUMBER, _BITS = Struct(">i"), Struct(">h")
# Stand for bytes that are no UTF-8, in a text of the same length.
PLACEHOLDER, NOT_UTF8 = b"~~~~", b"\xff\xfe\x80\xc0"
CODECS: Mapping[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: gzip_encode,
    2: snappy_encode,
    3: lz4_encode,
    4: zstd_encode,
}


class RawRecord(NamedTuple):
    """Anything that the log format can hold. `~~~~` in a header's name becomes bytes that are no UTF-8."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class RawBatch(BatchBuilder):  # type: ignore[misc] # aiokafka's classes have no types
    """A batch whose header names are spoilt after it was built; length, compression and checksum are right all the same."""

    def __init__(self, codec: int, max_bytes: int) -> None:
        super().__init__(max_bytes, 0)
        self._codec = codec
        self._spoilt: bytearray | None = None

    @override
    def _build(self) -> bytearray:
        if self._spoilt is None:
            built = bytes(super()._build()).replace(PLACEHOLDER, NOT_UTF8)
            batch = bytearray(built[:RECORDS] + CODECS[self._codec](built[RECORDS:]))
            _NUMBER.pack_into(batch, LENGTH, len(batch) - LENGTH_ENDS)
            _BITS.pack_into(batch, ATTRIBUTES, self._codec)
            pack_into(">I", batch, CRC, calc_crc32c(bytes(batch[ATTRIBUTES:])))
            self._spoilt = batch
        return self._spoilt


class BuiltBatch(BatchBuilder):  # type: ignore[misc] # as above
    """What another batch was built to, once more: packing it takes longer than anything else."""

    def __init__(self, built: bytes, records: int) -> None:
        super().__init__(MAX_BATCH_BYTES, 0)
        self._built, self._records = bytearray(built), records

    @override
    def _build(self) -> bytearray:
        return self._built

    @override
    def record_count(self) -> int:
        return self._records


def raw_batch(records: Sequence[RawRecord], codec: int, max_bytes: int) -> RawBatch:
    """One batch of these records, of `max_bytes` before it is packed."""
    batch = RawBatch(codec, max_bytes)
    for record in records:
        assert batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    return batch


async def send_raw(
    producer: AIOKafkaProducer,
    place: Place,
    records: Sequence[RawRecord],
    codec: int = 0,
    max_bytes: int = MAX_BATCH_BYTES,
) -> list[int]:
    """The offsets that these records got, as one batch of `max_bytes` before it is packed."""
    batch = raw_batch(records, codec, max_bytes)
    sent = await (await producer.send_batch(batch, place.topic, partition=place.partition))
    return list(range(sent.offset, sent.offset + len(records)))


async def send_again(producer: AIOKafkaProducer, place: Place, batch: RawBatch, times: int) -> None:
    """The same batch a number of times; returns once the broker has all."""
    built, records = bytes(batch._build()), batch.record_count()
    for _ in range(times):
        again = BuiltBatch(built, records)
        await (await producer.send_batch(again, place.topic, partition=place.partition))
