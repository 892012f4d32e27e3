"""Producer lanes: one per partition, so that records of one key keep their order and a slow partition holds up no other.

A lane gathers for 2 ms or until a batch is full, has one batch under way, and fills the next one meanwhile. What waits
is bounded over all lanes together; a caller that would pass the bound is refused by name before anything is sent.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog

from tillstream.contracts.topics import MAX_MESSAGE_BYTES
from tillstream.errors import BrokerUnavailable, ProducerFull, RecordTooLarge, TillstreamError
from tillstream.kafka.partitions import partition_of
from tillstream.kafka.records import Outgoing, Place, PublishResult

BATCH_FRAME_BYTES = 64  # what the log format puts around the records of a batch

_log = structlog.get_logger()


class Batch(Protocol):
    """Records on their way to one place."""

    def add(self, record: Outgoing) -> bool:
        """False when the batch is full; the first record always fits."""
        ...


class BatchSender[B: Batch](Protocol):
    """What lanes need of a client library."""

    async def partition_count(self, topic: str) -> int:
        """Raises BrokerUnavailable while the topic is not known."""
        ...

    def new_batch(self) -> B: ...

    async def send(self, batch: B, place: Place) -> int:
        """The offset of the batch's first record, once the broker has it. Raises TillstreamError."""
        ...


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """Bounds of all lanes together, but for `gather_s` and `batch_bytes`, which hold for each."""

    gather_s: float = 0.002
    batch_bytes: int = 512 * 1024
    max_records: int = 100_000
    max_bytes: int = 128 * 1024 * 1024
    max_record_bytes: int = MAX_MESSAGE_BYTES - BATCH_FRAME_BYTES


class _Call:
    """One `publish` and the results it still waits for. Once `given_up`, its records are not sent any more."""

    __slots__ = ("done", "given_up", "missing", "results")

    def __init__(self, size: int) -> None:
        self.results: list[PublishResult | None] = [None] * size
        self.missing = size
        self.given_up = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, index: int, result: PublishResult) -> None:
        self.results[index] = result
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, bug: Exception) -> None:
        if not self.done.done() and not self.given_up:
            self.done.set_exception(bug)


class _Entry(NamedTuple):
    record: Outgoing
    size: int
    call: _Call
    at: int


class _Lane[B: Batch]:
    """The queue of one place, and a task that lives while there is something in it."""

    def __init__(self, place: Place, lanes: "Lanes[B]") -> None:
        self.place = place
        self._lanes = lanes
        self._queue: deque[_Entry] = deque()
        self._queued_bytes = 0
        self._under_way: list[_Entry] = []
        self._full = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<lane {self.place}: {len(self._queue)} records, {self._queued_bytes} bytes>"

    def put(self, entry: _Entry) -> None:
        self._queue.append(entry)
        self._queued_bytes += entry.size
        if self._queued_bytes >= self._lanes.policy.batch_bytes:
            self._full.set()
        if self.task is None:
            self.task = asyncio.create_task(self._run(), name=f"lane {self.place}")

    async def _run(self) -> None:
        try:
            await self._gather()
            while self._queue:
                await self._send_one_batch()
        except asyncio.CancelledError:
            closed = PublishResult(error=BrokerUnavailable("The producer was closed before Kafka answered."))
            for entry in self._clear():
                entry.call.settle(entry.at, closed)
            raise
        except Exception as bug:  # noqa: BLE001 - handed on to every caller that waits for this lane
            for entry in self._clear():
                entry.call.fail(bug)
        finally:
            self.task = None

    async def _gather(self) -> None:
        """Wait for company. Later batches need no such wait: they gathered while the one before was under way."""
        try:
            async with asyncio.timeout(self._lanes.policy.gather_s):
                await self._full.wait()
        except TimeoutError:
            return

    async def _send_one_batch(self) -> None:
        batch = self._fill()
        sent = self._under_way
        if not sent:
            return
        try:
            first_offset = await self._lanes.sender.send(batch, self.place)
        except TillstreamError as error:
            for entry in sent:
                entry.call.settle(entry.at, PublishResult(error=error))
        else:
            for offset, entry in enumerate(sent, first_offset):
                entry.call.settle(entry.at, PublishResult(self.place.partition, offset))
        self._under_way = []
        self._lanes.release(sent)

    def _clear(self) -> list[_Entry]:
        """Everything that is left, which this lane will not send any more."""
        left = [*self._under_way, *self._queue]
        self._under_way = []
        self._queue.clear()
        self._queued_bytes = 0
        self._lanes.release(left)
        return left

    def _fill(self) -> B:
        """A batch of what waits; its entries are `_under_way`. What its caller gave up is dropped instead."""
        batch = self._lanes.sender.new_batch()
        dropped: list[_Entry] = []
        queue = self._queue
        while queue:
            entry = queue[0]
            if not entry.call.given_up and not batch.add(entry.record):
                break
            queue.popleft()
            self._queued_bytes -= entry.size
            (dropped if entry.call.given_up else self._under_way).append(entry)
        self._lanes.release(dropped)
        if self._queued_bytes < self._lanes.policy.batch_bytes:
            self._full.clear()
        return batch


class Lanes[B: Batch]:
    """Publishes through one lane per place. Belongs to one event loop; `close` ends it."""

    def __init__(self, sender: BatchSender[B], policy: LanePolicy) -> None:
        self.sender = sender
        self.policy = policy
        self.waiting_records = 0
        self.waiting_bytes = 0
        self._lanes: dict[Place, _Lane[B]] = {}
        self._next_keyless = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"<Lanes: {self.waiting_records} records, {self.waiting_bytes} bytes wait for the broker>"

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        """See `ports.Producer.publish`."""
        if not records:
            return []
        if self._closed:
            raise BrokerUnavailable("The producer is closed.")
        sizes = [record.size for record in records]
        self._admit(len(records), sum(sizes))
        call = _Call(len(records))
        queued = False
        try:
            async with asyncio.timeout(deadline_s):
                counts = {
                    topic: await self.sender.partition_count(topic) for topic in {r.topic for r in records}
                }
                queued = True
                self._enqueue(records, sizes, counts, call)
                await call.done
        except TimeoutError:
            return _what_is_known(call, BrokerUnavailable(f"Kafka gave no answer within {deadline_s:g} s."))
        except BrokerUnavailable as error:
            return _what_is_known(call, error)
        finally:
            call.given_up = True
            if not queued:
                self._release(len(records), sum(sizes))
        return _what_is_known(call, None)

    async def close(self, deadline_s: float) -> None:
        """Take nothing new and let every lane finish what it has, for `deadline_s` seconds at most."""
        self._closed = True
        running = {lane.task for lane in self._lanes.values() if lane.task is not None}
        if not running:
            return
        _, unfinished = await asyncio.wait(running, timeout=deadline_s)
        for task in unfinished:
            task.cancel()
        if unfinished:
            _log.warning("Closed before the broker answered for everything.", records=self.waiting_records)
            await asyncio.wait(unfinished)

    def release(self, entries: Sequence[_Entry]) -> None:
        """Called by a lane: these wait no longer."""
        self._release(len(entries), sum(entry.size for entry in entries))

    def _admit(self, records: int, size: int) -> None:
        if self.waiting_records + records > self.policy.max_records:
            raise ProducerFull(
                f"{self.waiting_records} records wait for Kafka already; at most {self.policy.max_records} may."
            )
        if self.waiting_bytes + size > self.policy.max_bytes:
            raise ProducerFull(
                f"{self.waiting_bytes} bytes wait for Kafka already; at most {self.policy.max_bytes} may."
            )
        self.waiting_records += records
        self.waiting_bytes += size

    def _release(self, records: int, size: int) -> None:
        self.waiting_records -= records
        self.waiting_bytes -= size

    def _enqueue(
        self, records: Sequence[Outgoing], sizes: Sequence[int], counts: dict[str, int], call: _Call
    ) -> None:
        limit = self.policy.max_record_bytes
        for index, (record, size) in enumerate(zip(records, sizes, strict=True)):
            if size > limit:
                self._release(1, size)
                call.settle(
                    index,
                    PublishResult(error=RecordTooLarge(f"A record of {size} bytes; {limit} are allowed.")),
                )
                continue
            self._lane(record, counts[record.topic]).put(_Entry(record, size, call, index))

    def _lane(self, record: Outgoing, partitions: int) -> _Lane[B]:
        if record.key is None:
            self._next_keyless += 1
            partition = self._next_keyless % partitions
        else:
            partition = partition_of(record.key, partitions)
        place = Place(record.topic, partition)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = _Lane(place, self)
        return lane


def _what_is_known(call: _Call, missing: TillstreamError | None) -> list[PublishResult]:
    unknown = PublishResult(error=missing)
    return [unknown if result is None else result for result in call.results]
