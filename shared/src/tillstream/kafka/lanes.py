"""Producer lanes: one per partition, so that records of one key keep their order and a slow partition holds up no other.

A lane gathers for 2 ms or until a batch is full, has one batch under way, and fills the next one meanwhile. What waits
is bounded over all lanes together; a caller that would pass the bound is refused by name before anything is sent.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice, repeat
from operator import itemgetter
from typing import NamedTuple, Protocol

import structlog

from tillstream.contracts.topics import MAX_MESSAGE_BYTES
from tillstream.errors import BrokerUnavailable, ProducerFull, RecordTooLarge, TillstreamError
from tillstream.kafka.partitions import partition_of
from tillstream.kafka.records import (
    RECORD_OVERHEAD_BYTES,
    Outgoing,
    Place,
    PublishResult,
)

BATCH_FRAME_BYTES = 64  # what the log format puts around the records of a batch
_PLACES_REMEMBERED = 65_536  # the same users come again and again

# By position: C code reads many of them without a call to Python in between.
_topic_of, _key_of, _value_of, _header_bytes_of = map(
    itemgetter, map(Outgoing._fields.index, ("topic", "key", "value", "header_bytes"))
)

_log = structlog.get_logger()


class Batch(Protocol):
    """Records on their way to one place."""

    def extend(self, records: Sequence[Outgoing], start: int) -> int:
        """Take records from `start` on, as many as fit, and say how many; of the very first records one always fits."""
        ...


class BatchSender[B: Batch](Protocol):
    """What lanes need of a client library."""

    async def partition_count(self, topic: str) -> int:
        """Raises BrokerUnavailable while the topic is not known."""
        ...

    def new_batch(self, size: int) -> B:
        """An empty one; `size` bytes, or more than fit, wait to be put into it."""
        ...

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

    def settle(self, at: Sequence[int], results: Iterable[PublishResult]) -> None:
        """`results` go with the positions `at`, and may be endless."""
        kept = self.results
        for index, result in zip(at, results):  # noqa: B905 - one error stands for any number of records
            kept[index] = result
        self.missing -= len(at)
        if not self.missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, bug: Exception) -> None:
        if not self.done.done() and not self.given_up:
            self.done.set_exception(bug)


class _Chunk:
    """What one call brings to one place: records and their positions in the call. `size` is what still waits."""

    __slots__ = ("at", "call", "records", "size", "taken")

    def __init__(self, call: _Call) -> None:
        self.call = call
        self.records: list[Outgoing] = []
        self.at: list[int] = []
        self.size = 0
        self.taken = 0

    def take(self, count: int) -> "_Piece":
        """The next `count` records. Each counts as much as the other: only the sum of a chunk's pieces matters."""
        left = len(self.records) - self.taken
        size = self.size * count // left
        piece = _Piece(self, self.taken, self.taken + count, size)
        self.taken += count
        self.size -= size
        return piece

    def rest(self) -> "_Piece":
        return self.take(len(self.records) - self.taken)


class _Piece(NamedTuple):
    """Records of a chunk that go into one batch; most often all of them."""

    chunk: _Chunk
    start: int
    end: int
    size: int

    def settle(self, results: Iterable[PublishResult]) -> None:
        self.chunk.call.settle(self.chunk.at[self.start : self.end], results)


class _Lane[B: Batch]:
    """The queue of one place, and a task that lives while there is something in it."""

    def __init__(self, place: Place, lanes: "Lanes[B]") -> None:
        self.place = place
        self._lanes = lanes
        self._queue: deque[_Chunk] = deque()
        self._queued_bytes = 0
        self._under_way: list[_Piece] = []
        self._go = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<lane {self.place}: {len(self._queue)} chunks, {self._queued_bytes} bytes>"

    def put(self, chunk: _Chunk) -> None:
        self._queue.append(chunk)
        self._queued_bytes += chunk.size
        if self._queued_bytes >= self._lanes.policy.batch_bytes:
            self._go.set()
        if self.task is None:
            self.task = asyncio.create_task(self._run(), name=f"lane {self.place}")

    async def _run(self) -> None:
        try:
            await self._gather()
            while self._queue:
                await self._send_one_batch()
        except asyncio.CancelledError:
            closed = PublishResult(error=BrokerUnavailable("The producer was closed before Kafka answered."))
            for piece in self._clear():
                piece.settle(repeat(closed))
            raise
        except Exception as bug:  # noqa: BLE001 - handed on to every caller that waits for this lane
            for piece in self._clear():
                piece.chunk.call.fail(bug)
        finally:
            self.task = None

    async def _gather(self) -> None:
        """Wait for company. Later batches need no such wait: they gathered while the one before was under way."""
        timer = asyncio.get_running_loop().call_later(self._lanes.policy.gather_s, self._go.set)
        try:
            await self._go.wait()
        finally:
            timer.cancel()

    async def _send_one_batch(self) -> None:
        batch = self._fill()
        sent = self._under_way
        if not sent:
            return
        try:
            first_offset = await self._lanes.sender.send(batch, self.place)
        except TillstreamError as error:
            for piece in sent:
                piece.settle(repeat(PublishResult(error=error)))
        else:
            offsets = count(first_offset)
            partition = repeat(self.place.partition)
            for piece in sent:
                piece.settle(map(PublishResult, partition, islice(offsets, piece.end - piece.start)))
        self._under_way = []
        self._lanes.release(sent)

    def _clear(self) -> list[_Piece]:
        """Everything that is left, which this lane will not send any more."""
        left = [*self._under_way, *(chunk.rest() for chunk in self._queue)]
        self._under_way = []
        self._queue.clear()
        self._queued_bytes = 0
        self._lanes.release(left)
        return left

    def _fill(self) -> B:
        """A batch of what waits; its pieces are `_under_way`. What its caller gave up is dropped instead."""
        batch = self._lanes.sender.new_batch(self._queued_bytes)
        queue = self._queue
        while queue:
            chunk = queue[0]
            if chunk.call.given_up:
                self._drop(queue.popleft())
                continue
            fitting = batch.extend(chunk.records, chunk.taken)
            if fitting:
                piece = chunk.take(fitting)
                self._queued_bytes -= piece.size
                self._under_way.append(piece)
            if chunk.taken < len(chunk.records):
                break
            queue.popleft()
        if self._queued_bytes < self._lanes.policy.batch_bytes:
            self._go.clear()
        return batch

    def _drop(self, chunk: _Chunk) -> None:
        dropped = chunk.rest()
        self._queued_bytes -= dropped.size
        self._lanes.release([dropped])


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
        size = _size(records)
        self._admit(len(records), size)
        call = _Call(len(records))
        topics = set(map(_topic_of, records))
        queued = False
        try:
            async with asyncio.timeout(deadline_s):
                counts = {topic: await self.sender.partition_count(topic) for topic in topics}
                queued = True
                self._enqueue(records, size, counts, call)
                await call.done
        except TimeoutError:
            silent = "gave no answer" if queued else f"named no partition of {', '.join(sorted(topics))}"
            return _what_is_known(call, BrokerUnavailable(f"Kafka {silent} within {deadline_s:g} s."))
        except BrokerUnavailable as error:
            return _what_is_known(call, error)
        finally:
            call.given_up = True
            if not queued:
                self._release(len(records), size)
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

    def release(self, pieces: Sequence[_Piece]) -> None:
        """Called by a lane: these wait no longer."""
        for piece in pieces:
            self._release(piece.end - piece.start, piece.size)

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
        self, records: Sequence[Outgoing], size: int, counts: Mapping[str, int], call: _Call
    ) -> None:
        """Nothing between the first and the last line may wait: what is not in a lane is in nobody's hands."""
        places = self._places(records, counts)
        if size > self.policy.max_record_bytes:  # all together, so that most calls need not look at each
            size = self._refuse_large(records, places, call)
        chunks: dict[Place, _Chunk] = {}
        for index, place in enumerate(places):
            if place is None:
                continue
            chunk = chunks.get(place)
            if chunk is None:
                chunk = chunks[place] = _Chunk(call)
            chunk.records.append(records[index])
            chunk.at.append(index)
        left = len(records) - places.count(None)
        for place, chunk in chunks.items():
            chunk.size = size * len(chunk.records) // left
            size -= chunk.size
            left -= len(chunk.records)
            self._lane(place).put(chunk)

    def _places(self, records: Sequence[Outgoing], counts: Mapping[str, int]) -> list[Place | None]:
        topics = list(map(_topic_of, records))
        keys = list(map(_key_of, records))
        if None not in keys:
            return list(map(place_of, topics, keys, map(counts.__getitem__, topics)))
        return [
            self._any_place(topic, counts[topic]) if key is None else place_of(topic, key, counts[topic])
            for topic, key in zip(topics, keys, strict=True)
        ]

    def _any_place(self, topic: str, partitions: int) -> Place:
        self._next_keyless += 1
        return Place(topic, self._next_keyless % partitions)

    def _refuse_large(self, records: Sequence[Outgoing], places: list[Place | None], call: _Call) -> int:
        """Answer for what no broker takes, take its place away, and say how many bytes the others have."""
        limit = self.policy.max_record_bytes
        kept = 0
        for index, record in enumerate(records):
            size = record.size
            if size <= limit:
                kept += size
                continue
            places[index] = None
            self._release(1, size)
            too_large = RecordTooLarge(f"A record of {size} bytes; {limit} are allowed.")
            call.settle([index], [PublishResult(error=too_large)])
        return kept

    def _lane(self, place: Place) -> _Lane[B]:
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = _Lane(place, self)
        return lane


def _size(records: Sequence[Outgoing]) -> int:
    """The sum of `Outgoing.size`, in one go where the headers' part of it is known."""
    header_bytes: list[int | None] = list(map(_header_bytes_of, records))
    if None in header_bytes:
        return sum(record.size for record in records)
    return (
        RECORD_OVERHEAD_BYTES * len(records)
        + sum(map(len, map(_value_of, records)))
        + sum(map(len, filter(None, map(_key_of, records))))
        + sum(filter(None, header_bytes))
    )


@lru_cache(maxsize=_PLACES_REMEMBERED)
def place_of(topic: str, key: bytes, partitions: int) -> Place:
    """Where records of a key go."""
    return Place(topic, partition_of(key, partitions))


def _what_is_known(call: _Call, missing: TillstreamError | None) -> list[PublishResult]:
    if not call.missing:
        return call.results  # type: ignore[return-value] # none of them is missing
    unknown = PublishResult(error=missing)
    return [unknown if result is None else result for result in call.results]
