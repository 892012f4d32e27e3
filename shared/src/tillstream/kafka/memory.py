"""The ports without a broker: a log in memory with partitions, offsets and groups, for tests. Time comes from a clock.

It keeps what callers rely on: order within a partition, one owner per partition of a group, nothing before `seek`,
rebalances that wait for `revoked`. `up` cuts it off; `silent` lets it take records and fetches without an answer.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from tillstream.clock import Clock
from tillstream.errors import BrokerUnavailable, Misconfigured, OwnershipLost, RecordTooLarge, TillstreamError
from tillstream.kafka.lanes import LanePolicy
from tillstream.kafka.partitions import partition_of
from tillstream.kafka.ports import Each, RebalanceListener, nothing_yet
from tillstream.kafka.records import Outgoing, Place, PublishResult, Record, bytes_of

DEFAULT_PARTITIONS = 12


@dataclass(slots=True)
class _Log:
    """One partition: `records` begins with the one at offset `start`."""

    start: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.start + len(self.records)


class _Group:
    """The members of one group, and who has which places."""

    def __init__(self, name: str, broker: "MemoryBroker") -> None:
        self.name = name
        self.offsets: dict[Place, int] = {}
        self._broker = broker
        self._members: list[MemoryConsumer] = []
        self._rebalancing = asyncio.Lock()

    async def change(
        self, *, joins: "MemoryConsumer | None" = None, leaves: "MemoryConsumer | None" = None
    ) -> None:
        """Eager rebalance: everybody gives everything back, then the places go round."""
        async with self._rebalancing:
            if leaves is not None:
                self._members.remove(leaves)
            await asyncio.gather(*(member.give_back() for member in self._members))
            if joins is not None:
                self._members.append(joins)
                await joins.give_back()
            shares: dict[int, set[Place]] = {index: set() for index in range(len(self._members))}
            for topic in sorted({topic for member in self._members for topic in member.topics}):
                takers = [i for i, member in enumerate(self._members) if topic in member.topics]
                for turn, place in enumerate(self._broker.places(topic)):
                    shares[takers[turn % len(takers)]].add(place)
            for index, member in enumerate(self._members):
                member.take(frozenset(shares[index]))


class MemoryBroker:
    """What producers and consumers of one test share. Topics are created explicitly."""

    def __init__(self, clock: Clock, *, cluster_id: str = "memory") -> None:
        self.cluster_id = cluster_id
        self.up = True
        self.silent = False
        self.knows_topic_ids = True
        self.max_record_bytes = LanePolicy().max_record_bytes
        self._clock = clock
        self._logs: dict[Place, _Log] = {}
        self._topic_ids: dict[str, UUID] = {}
        self._groups: dict[str, _Group] = {}
        self._grown = asyncio.Condition()

    def create_topic(self, topic: str, partitions: int = DEFAULT_PARTITIONS) -> None:
        """A topic of that name from before is gone with this."""
        self.delete_topic(topic)
        self._topic_ids[topic] = uuid4()
        for number in range(partitions):
            self._logs[Place(topic, number)] = _Log()

    def delete_topic(self, topic: str) -> None:
        self._topic_ids.pop(topic, None)
        for place in self.places(topic):
            del self._logs[place]

    def topic_id(self, topic: str) -> UUID:
        """Raises BrokerUnavailable for a topic that is not there."""
        if topic not in self._topic_ids:
            raise BrokerUnavailable(f"Kafka has no topic {topic} now.")
        return self._topic_ids[topic]

    def places(self, topic: str) -> list[Place]:
        return sorted(place for place in self._logs if place.topic == topic)

    def group(self, name: str) -> _Group:
        return self._groups.setdefault(name, _Group(name, self))

    def log(self, place: Place) -> _Log:
        """Raises BrokerUnavailable, as a broker does for a partition that it does not know (yet)."""
        if place not in self._logs:
            raise BrokerUnavailable(f"Kafka does not know {place}.")
        return self._logs[place]

    def drop_before(self, place: Place, offset: int) -> None:
        """Retention: the log begins at `offset` from now on."""
        log = self.log(place)
        del log.records[: offset - log.start]
        log.start = offset

    def cut_from(self, place: Place, offset: int) -> None:
        """What an unclean election does: the log ends before `offset` from now on, and others may follow there."""
        log = self.log(place)
        del log.records[offset - log.start :]

    def check_up(self) -> None:
        if not self.up:
            raise BrokerUnavailable("The broker in memory is down.")

    async def append(self, place: Place, outgoing: Outgoing) -> int:
        offset = self.put(place, outgoing)
        await self.wake()
        return offset

    def put(self, place: Place, outgoing: Outgoing) -> int:
        """Append without letting anybody run meanwhile; who waits for records finds this one later."""
        log = self.log(place)
        now = self._clock.now()
        moment = now.replace(microsecond=now.microsecond // 1_000 * 1_000)
        offset = log.end
        log.records.append(
            Record(*place, offset, outgoing.key, outgoing.value, tuple(outgoing.headers), moment)
        )
        return offset

    async def wake(self) -> None:
        """Let whoever waits for records look again."""
        async with self._grown:
            self._grown.notify_all()

    async def wait_for_more(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s), self._grown:
                await self._grown.wait()
        except TimeoutError:
            return


class MemoryProducer:
    """`ports.Producer` on a MemoryBroker."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._started = False
        self._next_keyless = 0

    async def start(self) -> None:
        self._broker.check_up()
        self._started = True

    async def stop(self) -> None:
        self._started = False

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        if not self._started:
            raise BrokerUnavailable("The producer is not started.")
        results = [await self._publish_one(record) for record in records]
        if self._broker.silent and records:
            await asyncio.sleep(deadline_s)
            return [PublishResult(error=BrokerUnavailable("The broker in memory is silent."))] * len(records)
        return results

    async def _publish_one(self, record: Outgoing) -> PublishResult:
        try:
            self._broker.check_up()
            if record.size > self._broker.max_record_bytes:
                raise RecordTooLarge(f"A record of {record.size} bytes.")
            place = self._place_of(record)
            return PublishResult(place.partition, await self._broker.append(place, record))
        except TillstreamError as error:
            return PublishResult(error=error)

    def _place_of(self, record: Outgoing) -> Place:
        places = self._broker.places(record.topic)
        if not places:
            raise BrokerUnavailable(f"Kafka does not know topic {record.topic}.")
        if record.key is not None:
            return places[partition_of(record.key, len(places))]
        self._next_keyless += 1
        return places[self._next_keyless % len(places)]

    async def probe(self) -> None:
        self._broker.check_up()


class MemoryConsumer:
    """`ports.Consumer` on a MemoryBroker."""

    def __init__(self, broker: MemoryBroker, *, group: str) -> None:
        self.topics: frozenset[str] = frozenset()
        self._broker = broker
        self._group = broker.group(group)
        self._listener: RebalanceListener | None = None
        self._assigned: frozenset[Place] = frozenset()
        self._positions: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self._joining: asyncio.Task[None] | None = None

    async def start(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        self._broker.check_up()
        missing = sorted(topic for topic in topics if not self._broker.places(topic))
        if missing:
            raise Misconfigured(f"Kafka has no topic {', '.join(missing)}.")
        self.topics = frozenset(topics)
        self._listener = listener
        self._joining = asyncio.create_task(self._group.change(joins=self), name="join")

    async def stop(self, deadline_s: float) -> None:
        if self._joining is None:
            return
        await asyncio.wait({self._joining}, timeout=deadline_s)
        self._joining = None
        self._listener = None
        self._assigned = frozenset()
        self._positions.clear()
        await self._group.change(leaves=self)

    async def give_back(self) -> None:
        """Called by the group before it deals the places out again."""
        revoked, self._assigned = self._assigned, frozenset()
        self._positions.clear()
        self._paused.clear()
        await self._broker.wake()
        if self._listener is not None:
            await self._listener.revoked(revoked)

    def take(self, places: frozenset[Place]) -> None:
        """Called by the group with this member's share."""
        self._assigned = places
        if self._listener is not None:
            self._listener.assigned(places)

    def assigned(self) -> frozenset[Place]:
        return self._assigned

    async def fetch(
        self, *, max_records: int, max_bytes: int, wait_s: float, each: Each = nothing_yet
    ) -> list[Record]:
        await asyncio.sleep(0)  # a caller that never waits must not keep everybody else from running
        records = self._available(max_records, max_bytes)
        if not records:
            await self._broker.wait_for_more(wait_s)
            records = self._available(max_records, max_bytes)
        await each(records)
        return records

    def _available(self, max_records: int, max_bytes: int) -> list[Record]:
        if not self._broker.up or self._broker.silent:
            return []
        records: list[Record] = []
        size = 0
        for place in sorted(self._positions.keys() - self._paused):
            log = self._broker.log(place)
            position = self._positions[place]
            if not log.start <= position <= log.end:
                raise Misconfigured(f"Offset {position} of {place} is not in its log.")
            for record in log.records[position - log.start :]:
                if len(records) >= max_records or size >= max_bytes:
                    return records
                records.append(record)
                size += bytes_of(record)
                self._positions[place] = record.offset + 1
        return records

    def seek(self, place: Place, offset: int) -> None:
        if place not in self._assigned:
            raise OwnershipLost(f"{place} is not assigned to this member.")
        self._positions[place] = offset

    def pause(self, places: Collection[Place]) -> None:
        self._paused |= self._assigned.intersection(places)

    def resume(self, places: Collection[Place]) -> None:
        self._paused -= frozenset(places)

    async def passed_over(self) -> dict[Place, tuple[int, int]]:
        return {}  # there are no transactions here

    async def log_starts(self, places: Collection[Place]) -> dict[Place, int]:
        self._broker.check_up()
        return {place: self._broker.log(place).start for place in places}

    async def log_ends(self, places: Collection[Place]) -> dict[Place, int]:
        self._broker.check_up()
        return {place: self._broker.log(place).end for place in places}

    async def ask_anew(self) -> None:
        self._broker.check_up()

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        self._broker.check_up()
        if not self._assigned.issuperset(offsets):
            raise OwnershipLost("Some of these places are not assigned to this member.")
        self._group.offsets.update(offsets)

    async def cluster_id(self) -> str:
        self._broker.check_up()
        return self._broker.cluster_id

    async def topic_ids(self, topics: Collection[str]) -> dict[str, UUID]:
        self._broker.check_up()
        found = {topic: self._broker.topic_id(topic) for topic in topics}
        return found if self._broker.knows_topic_ids else {}
