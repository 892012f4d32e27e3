"""The producer port on a real broker, by aiokafka. What is known of aiokafka 0.14's ways stands beside the code that minds them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka
from aiokafka.producer.message_accumulator import BatchBuilder

from tillstream.errors import BrokerUnavailable
from tillstream.kafka.failures import translated
from tillstream.kafka.lanes import LanePolicy, Lanes
from tillstream.kafka.metadata_pace import pace_metadata
from tillstream.kafka.records import Outgoing, Place, PublishResult

MS = 1_000
# One or two small records: compressing them takes 17 µs and saves 70 bytes of 400, or 360 of 740.
COMPRESS_FROM_BYTES = 1_024
UNCOMPRESSED = 0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ProducerPolicy:
    """`request_s` is how long aiokafka itself retries a batch; after that the lane goes on with the next one.
    Batches below COMPRESS_FROM_BYTES go without `compression`."""

    lanes: LanePolicy = field(default_factory=LanePolicy)
    request_s: float = 5.0
    stop_s: float = 8.0
    probe_s: float = 2.0
    compression: str | None = "lz4"


class _BuilderBatch:
    """A batch in the making, as lanes want it."""

    __slots__ = ("builder",)

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def extend(self, records: Sequence[Outgoing], start: int) -> int:
        append = self.builder.append
        for at in range(start, len(records)):
            _, key, value, headers, _ = records[at]
            if type(headers) is not list:
                headers = list(headers)  # it takes no other
            if append(timestamp=None, key=key, value=value, headers=headers) is None:
                return at - start
        return len(records) - start


class _Sender:
    """Lanes' view of an AIOKafkaProducer."""

    def __init__(self, producer: AIOKafkaProducer, batch_bytes: int) -> None:
        self._producer = producer
        self._batch_bytes = batch_bytes

    async def partition_count(self, topic: str) -> int:
        with translated():
            return len(await self._producer.partitions_for(topic))

    def new_batch(self, size: int) -> _BuilderBatch:
        if size >= COMPRESS_FROM_BYTES:
            return _BuilderBatch(self._producer.create_batch())
        plain = BatchBuilder(
            self._batch_bytes,
            UNCOMPRESSED,
            is_transactional=False,
            key_serializer=None,
            value_serializer=None,
        )
        return _BuilderBatch(plain)

    async def send(self, batch: _BuilderBatch, place: Place) -> int:
        with translated():
            delivered = await self._producer.send_batch(batch.builder, place.topic, partition=place.partition)
            metadata = await delivered
        return int(metadata.offset)


class AioProducer:
    """`ports.Producer` on a real broker.

    acks=all without idempotence: aiokafka's idempotent producer never gives a batch up and can hang in `stop`. A batch
    that is sent twice is harmless, since every message carries its id.
    """

    def __init__(self, bootstrap: str, *, client_id: str, policy: ProducerPolicy = ProducerPolicy()) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._policy = policy
        self._producer: AIOKafkaProducer | None = None
        self._lanes: Lanes[_BuilderBatch] | None = None

    def __repr__(self) -> str:
        return f"<AioProducer {self._client_id} to {self._bootstrap}: {self._lanes or 'not started'}>"

    @property
    def waiting_records(self) -> int:
        """Records that wait for the broker's acknowledgement."""
        return self._lanes.waiting_records if self._lanes else 0

    @property
    def waiting_bytes(self) -> int:
        return self._lanes.waiting_bytes if self._lanes else 0

    async def start(self) -> None:
        assert self._producer is None, "started twice"
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=False,
            max_batch_size=self._policy.lanes.batch_bytes,
            compression_type=self._policy.compression,
            request_timeout_ms=int(self._policy.request_s * MS),
        )
        pace_metadata(producer.client)
        try:
            with translated():
                await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer
        self._lanes = Lanes(_Sender(producer, self._policy.lanes.batch_bytes), self._policy.lanes)

    async def stop(self) -> None:
        producer, lanes = self._producer, self._lanes
        if producer is None or lanes is None:
            return
        self._producer = None
        await lanes.close(self._policy.stop_s)
        try:
            async with asyncio.timeout(self._policy.stop_s):
                await producer.stop()
        except TimeoutError:
            _log.warning(
                "Kafka's client did not stop in time.", client=self._client_id, limit_s=self._policy.stop_s
            )

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        if self._lanes is None:
            raise BrokerUnavailable("The producer is not started.")
        return await self._lanes.publish(records, deadline_s)

    async def probe(self) -> None:
        if self._producer is None:
            raise BrokerUnavailable("The producer is not started.")
        try:
            async with asyncio.timeout(self._policy.probe_s):
                await self._producer.client.fetch_all_metadata()
        except (kafka.KafkaError, TimeoutError) as error:
            raise BrokerUnavailable("Kafka does not answer.") from error
