"""The way to the broker: connected in the background, counted, and never waited for at start."""

import asyncio
from collections.abc import Sequence

import structlog

from ingest_api.policy import IngestPolicy
from tillstream.clock import Clock
from tillstream.errors import BrokerUnavailable
from tillstream.kafka.ports import Producer
from tillstream.kafka.records import Outgoing, PublishResult
from tillstream.observe.metrics import Metrics

_log = structlog.get_logger()


class BrokerLink:
    """A producer whose connection may come later: until then `publish` and `probe` raise BrokerUnavailable at once.

    `open` returns immediately and goes on trying; `close` stops trying and lets the producer finish. `connecting` ends
    when the producer started, or with the error for which no waiting helps.
    """

    def __init__(self, producer: Producer, policy: IngestPolicy, clock: Clock, metrics: Metrics) -> None:
        self._producer = producer
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._records = self._bytes = 0
        metrics.producer_buffered_records.set_function(lambda: self._records)
        metrics.producer_buffered_bytes.set_function(lambda: self._bytes)
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<BrokerLink {'connected' if self.connected else 'connecting'}>"

    @property
    def connected(self) -> bool:
        """Whether the producer started once; from then on it finds its way back by itself."""
        task = self._task
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    @property
    def waiting_records(self) -> int:
        """Records that the broker has not acknowledged yet."""
        return self._records

    @property
    def connecting(self) -> asyncio.Task[None]:
        assert self._task is not None, "not open"
        return self._task

    async def open(self) -> None:
        self._task = asyncio.create_task(self._connect(), name="connect to the broker")

    async def close(self) -> None:
        """May be repeated."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._producer.stop()

    async def publish(self, records: Sequence[Outgoing]) -> list[PublishResult]:
        """See `Producer.publish`; the deadline is the policy's."""
        self._require_connection()
        size = sum(len(record.value) for record in records)
        began = self._clock.monotonic()
        self._records += len(records)
        self._bytes += size
        try:
            results = await self._producer.publish(records, self._policy.publish_s)
        except BrokerUnavailable as error:
            self._count(records, [PublishResult(error=error)] * len(records))
            raise
        finally:
            self._records -= len(records)
            self._bytes -= size
            self._metrics.producer_publish_seconds.observe(self._clock.monotonic() - began)
        self._count(records, results)
        return results

    async def probe(self) -> None:
        """Raises BrokerUnavailable when the broker does not answer."""
        self._require_connection()
        await self._producer.probe()

    async def _connect(self) -> None:
        told = False
        while True:
            try:
                await self._producer.start()
            except BrokerUnavailable as error:
                if not told:
                    _log.warning("Waiting for the broker.", problem=str(error))
                told = True
                await asyncio.sleep(self._policy.reconnect_s)
            else:
                _log.info("Connected to the broker.")
                return

    def _require_connection(self) -> None:
        if not self.connected:
            raise BrokerUnavailable("The broker has not answered yet since this process started.")

    def _count(self, records: Sequence[Outgoing], results: Sequence[PublishResult]) -> None:
        failed = [
            record.topic for record, result in zip(records, results, strict=True) if result.error is not None
        ]
        for topic in failed:
            self._metrics.producer_failed_records.labels(topic).inc()
        if len(failed) < len(records):
            self._metrics.succeeded("publish", self._clock)
