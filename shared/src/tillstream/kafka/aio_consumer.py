"""The consumer port on a real broker, by aiokafka. What is known of aiokafka 0.14's ways stands beside the code that minds them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any, override
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.abc import ConsumerRebalanceListener

from tillstream.contracts.parts import joined
from tillstream.contracts.record_forms import RecordForm
from tillstream.errors import BrokerUnavailable, OwnershipLost
from tillstream.kafka.aio_records import RecordForms, hand_out_our_records
from tillstream.kafka.cluster import ask_log_ends, check_topics, cluster_id
from tillstream.kafka.detour import read_around, records_of
from tillstream.kafka.failures import translated
from tillstream.kafka.log_format import Stretch
from tillstream.kafka.poll_size import POLL_RECORDS, PollSize, fitting, left_behind, merged
from tillstream.kafka.ports import Each, RebalanceListener, nothing_yet
from tillstream.kafka.records import Place, Record
from tillstream.kafka.topic_ids import TopicIds

# Greater than any real pause: a member that waits for the database must not be thrown out of its group. A loop that
# hangs is found by the loop's own watch instead.
NEVER_IDLE_MS = 2**31 - 1
MS = 1_000
NO_FORMS: Mapping[str, RecordForm] = MappingProxyType({})

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ConsumerPolicy:
    """How a member behaves in its group, and how much it reads ahead (at most `fetch_bytes` per partition).

    `request_s` must be longer than `rebalance_s`: aiokafka's request to join waits for the others under that limit.
    `fetch_wait_s` is also how long any other question may take, such as for the ends of the logs: a broker answers one
    after the other on a connection, and a fetch from partitions without news is nearly always among them.
    """

    session_s: float = 6.0
    heartbeat_s: float = 1.5
    rebalance_s: float = 15.0
    request_s: float = 20.0
    answer_s: float = 3.0
    fetch_wait_s: float = 0.05
    fetch_bytes: int = 1024 * 1024
    response_bytes: int = 16 * 1024 * 1024
    metadata_age_s: float = 60.0


class _Bridge(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka's base has no types
    """Passes aiokafka's callbacks on. aiokafka only logs what they raise, so nothing may get out of here."""

    def __init__(self, consumer: "AioConsumer") -> None:
        self._consumer = consumer

    @override
    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._consumer.on_revoked(_places(revoked))

    @override
    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._consumer.on_assigned(_places(assigned))


class AioConsumer:
    """`ports.Consumer` on a real broker.

    After every assignment aiokafka starts from the group's offsets in Kafka. Those are for lag tools only, so a record
    is handed on only from places that were sought in the very assignment it was fetched in.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str,
        client_id: str,
        policy: ConsumerPolicy = ConsumerPolicy(),
        forms: Mapping[str, RecordForm] = NO_FORMS,
    ) -> None:
        """`forms` are the plain forms of topics: their records may come as `Block`s."""
        self._bootstrap = bootstrap
        self._group = group
        self._client_id = client_id
        self._policy = policy
        self._forms = RecordForms(forms)
        self._consumer: AIOKafkaConsumer | None = None
        self._topic_ids = TopicIds(bootstrap, client_id, policy.answer_s)
        self._listener: RebalanceListener | None = None
        self._sought: dict[Place, int] = {}  # and where each goes on
        self._paused: set[Place] = set()
        self._poll_size = PollSize()
        self._polling: asyncio.Task[Any] | None = None
        self._stirred = asyncio.Event()
        self._rebalancing = True
        self._callback_bug: Exception | None = None

    def __repr__(self) -> str:
        state = "rebalancing" if self._rebalancing else f"{len(self._sought)} places"
        return f"<AioConsumer {self._client_id} in {self._group}: {state}>"

    async def start(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        assert self._consumer is None, "started twice"
        consumer = self._make()
        try:
            with translated():
                async with asyncio.timeout(self._policy.request_s):
                    await consumer.start()
            await check_topics(consumer, topics, self._policy.answer_s)
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        self._listener = listener
        # Subscribed only now: `start` of a subscribed consumer waits for its group without a limit.
        consumer.subscribe(list(topics), listener=_Bridge(self))

    def _make(self) -> AIOKafkaConsumer:
        policy = self._policy
        hand_out_our_records()
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=int(policy.session_s * MS),
            heartbeat_interval_ms=int(policy.heartbeat_s * MS),
            rebalance_timeout_ms=int(policy.rebalance_s * MS),
            request_timeout_ms=int(policy.request_s * MS),
            max_poll_interval_ms=NEVER_IDLE_MS,
            fetch_max_wait_ms=int(policy.fetch_wait_s * MS),
            max_partition_fetch_bytes=policy.fetch_bytes,
            fetch_max_bytes=policy.response_bytes,
            max_poll_records=POLL_RECORDS,
            value_deserializer=self._forms,
            metadata_max_age_ms=int(policy.metadata_age_s * MS),
        )

    async def stop(self, deadline_s: float) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        self._consumer = None
        self._forget()
        try:
            async with asyncio.timeout(deadline_s):
                await self._topic_ids.close()
                await consumer.stop()
        except TimeoutError:
            _log.warning(
                "Kafka's client did not leave its group in time.", group=self._group, limit_s=deadline_s
            )

    def assigned(self) -> frozenset[Place]:
        if self._consumer is None or self._rebalancing:
            return frozenset()
        return _places(self._consumer.assignment())

    async def fetch(
        self, *, max_records: int, max_bytes: int, wait_s: float, each: Each = nothing_yet
    ) -> Sequence[Record]:
        if self._callback_bug is not None:
            raise self._callback_bug
        self._stirred.clear()
        wanted = [TopicPartition(*place) for place in sorted(self._sought.keys() - self._paused)]
        if not wanted or self._rebalancing:
            await self._wait_to_be_stirred(wait_s)
            return []
        parts: list[Sequence[Record]] = []
        records, size = 0, 0
        while records < max_records and size < max_bytes:
            step = self._poll_size.parts(max_records - records, max_bytes - size)
            if parts and not step:
                break  # more would come than is wanted, and be fetched again
            polled = await self._poll(wanted, 0.0 if parts else wait_s, max(step, 1))
            if not polled:
                break
            size += self._poll_size.learn(polled)
            for part in merged(polled):
                records += len(part)
                parts.append(part)
                await each(part)
        is_too_much = records > max_records or size > max_bytes
        return joined(self._cut(parts, max_records, max_bytes) if is_too_much else parts)

    def _cut(
        self, parts: Sequence[Sequence[Record]], max_records: int, max_bytes: int
    ) -> Sequence[Sequence[Record]]:
        """What fits; the rest is fetched again. Parts may be larger all of a sudden, and a poll counts them only."""
        kept = fitting(parts, max_records, max_bytes)
        for place, offset in left_behind(parts, kept).items():
            if place in self._sought:  # else a rebalance has begun meanwhile
                self._sought[place] = offset
                self._started().seek(TopicPartition(*place), offset)
        return kept

    async def _wait_to_be_stirred(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._stirred.wait()
        except TimeoutError:
            return

    async def _poll(
        self, wanted: list[TopicPartition], wait_s: float, max_parts: int
    ) -> list[Sequence[Record]]:
        """One call of getmany, or what it comes to where aiokafka cannot read the log.

        When a poll fails or is cancelled, aiokafka may have moved its positions beyond records that it did not hand on.
        So none of these places counts as sought after that, until it is sought anew.
        """
        try:
            return await self._getmany(wanted, wait_s, max_parts)
        except (UnicodeDecodeError, BrokerUnavailable) as error:
            positions = self._let_go(wanted)
            if not _is_unreadable(error):
                raise
            _log.warning(
                "Kafka's client cannot read some records; they are read around it.", problem=str(error)
            )
            return await self._read_around(positions)
        except BaseException:
            self._let_go(wanted)
            raise

    def _let_go(self, places: list[TopicPartition]) -> dict[Place, int]:
        """Forget that these were sought; where each of them was to go on."""
        mine = self._sought.keys() & _places(places)
        return {place: self._sought.pop(place) for place in mine}

    async def _getmany(
        self, wanted: list[TopicPartition], wait_s: float, max_parts: int
    ) -> list[Sequence[Record]]:
        """In a task of its own: during a rebalance it waits without a limit, and is cancelled.

        Cancelling that loses nothing: getmany moves its positions and returns in one step. A rebalance may also have begun
        since the call before; it waits for this very fetch to end.
        """
        if self._rebalancing:
            return []
        consumer = self._started()
        assignment = consumer.assignment()  # a new object for every assignment
        self._forms.begin_poll()
        call = consumer.getmany(*wanted, timeout_ms=int(wait_s * MS), max_records=max_parts)
        self._polling = polling = asyncio.create_task(call, name="getmany")
        try:
            await asyncio.wait({polling})
            if polling.cancelled():
                return []
            with translated():
                polled = polling.result()
            if consumer.assignment() is not assignment:
                return []
            self._sought |= {Place(*place): parts[-1][-1].next_offset for place, parts in polled.items()}
            return list(chain.from_iterable(polled.values()))
        finally:
            polling.cancel()
            self._polling = None

    async def _read_around(self, positions: Mapping[Place, int]) -> list[Sequence[Record]]:
        """What comes at these positions, in some of these places, read without aiokafka's reader. It seeks all of them."""
        consumer = self._started()
        assignment = consumer.assignment()
        stretches = await read_around(self._bootstrap, self._client_id, positions, self._policy.answer_s)
        if self._rebalancing or consumer.assignment() is not assignment:
            return []
        parts: list[Sequence[Record]] = []
        for place, position in positions.items():
            stretch = stretches.get(place, Stretch([], position))
            if stretch.records:
                parts.append(records_of(place, stretch))
            self._sought[place] = stretch.next_offset
            consumer.seek(TopicPartition(*place), stretch.next_offset)
        return parts

    def seek(self, place: Place, offset: int) -> None:
        if self._rebalancing or place not in self.assigned():
            raise OwnershipLost(f"{place} is not assigned to this member.")
        partition = TopicPartition(*place)
        self._started().seek(partition, offset)
        self._sought[place] = offset
        if place not in self._paused:
            self._started().resume(partition)

    def pause(self, places: Collection[Place]) -> None:
        mine = self.assigned().intersection(places)
        self._paused |= mine
        if mine:
            self._started().pause(*(TopicPartition(*place) for place in mine))

    def resume(self, places: Collection[Place]) -> None:
        mine = self.assigned().intersection(places)
        self._paused -= mine
        sought = mine & self._sought.keys()
        if sought:
            self._started().resume(*(TopicPartition(*place) for place in sought))

    async def passed_over(self) -> dict[Place, tuple[int, int]]:
        passed: dict[Place, tuple[int, int]] = {}
        for place in self._sought.keys() - self._paused:
            asked_for = self._sought.get(place)
            with translated():
                async with asyncio.timeout(self._policy.answer_s):
                    position = await self._started().position(TopicPartition(*place))
            # A poll under way may have moved the position for records that it has not handed on yet.
            is_still = self._polling is None and asked_for == self._sought.get(place)
            if is_still and asked_for is not None and position > asked_for:
                passed[place] = asked_for, position
        return passed

    async def log_starts(self, places: Collection[Place]) -> dict[Place, int]:
        return await self._offsets(self._started().beginning_offsets, places)

    async def log_ends(self, places: Collection[Place]) -> dict[Place, int]:
        return await self._offsets(self._started().end_offsets, places)

    async def ask_anew(self) -> None:
        await ask_log_ends(self._bootstrap, self._client_id, self.assigned(), self._policy.answer_s)

    async def _offsets(self, question: Any, places: Collection[Place]) -> dict[Place, int]:
        if not places:
            return {}
        with translated():
            async with asyncio.timeout(self._policy.answer_s):
                answer = await question([TopicPartition(*place) for place in places])
        return {Place(*partition): offset for partition, offset in answer.items()}

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        if not offsets:
            return
        with translated():
            async with asyncio.timeout(self._policy.answer_s):  # aiokafka would retry for ever
                await self._started().commit(
                    {TopicPartition(*place): offset for place, offset in offsets.items()}
                )

    async def cluster_id(self) -> str:
        return await cluster_id(self._bootstrap, self._policy.answer_s)

    async def topic_ids(self, topics: Collection[str]) -> dict[str, UUID]:
        return await self._topic_ids.ask(topics)

    async def on_revoked(self, places: frozenset[Place]) -> None:
        """Called by aiokafka; the rebalance goes on when this returns."""
        self._rebalancing = True
        self._forget()
        try:
            if self._listener is not None:
                await self._listener.revoked(places)
        except Exception as bug:  # noqa: BLE001 - aiokafka would only log it; the next fetch raises it
            self._callback_bug = bug

    def on_assigned(self, places: frozenset[Place]) -> None:
        """Called by aiokafka when it has the new assignment and may already read from the group's offsets in Kafka."""
        self._forget()
        self._rebalancing = False
        try:
            if self._consumer is not None and places:
                self._consumer.pause(*(TopicPartition(*place) for place in places))
            if self._listener is not None:
                self._listener.assigned(places)
        except Exception as bug:  # noqa: BLE001 - as above
            self._callback_bug = bug

    def _forget(self) -> None:
        self._sought.clear()
        self._paused.clear()
        if self._polling is not None:
            self._polling.cancel()
        self._stirred.set()

    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BrokerUnavailable("The consumer is not started.")
        return self._consumer


def _is_unreadable(error: BaseException) -> bool:
    """A header's name that is not UTF-8 comes as the one or as the other, as aiokafka's reader is in C or in Python."""
    return isinstance(error, UnicodeDecodeError) or isinstance(error.__cause__, kafka.CorruptRecordException)


def _places(partitions: Collection[TopicPartition]) -> frozenset[Place]:
    return frozenset(Place(*partition) for partition in partitions)
