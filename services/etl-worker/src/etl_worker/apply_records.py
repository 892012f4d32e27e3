"""From records to outcomes: the handler of the consumer loop, and the sweep between batches."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from etl_worker.reject_alarm import RejectAlarm, Weighed
from etl_worker.watch import ApplyWatch
from tillstream.apply.applied import Applied
from tillstream.apply.replay import Replayer
from tillstream.apply.sweep import Sweeper
from tillstream.contracts.entities import ENTITY_OF_TOPIC, Entity
from tillstream.contracts.envelope import read_record
from tillstream.contracts.messages import Message
from tillstream.contracts.plain_columns import plain_columns
from tillstream.contracts.plain_events import PlainEvent, PlainReader
from tillstream.kafka.log_columns import Block
from tillstream.kafka.records import Record
from tillstream.kafka.steps import BatchResult

type Apply = Callable[[AsyncConnection, Sequence[Message | PlainEvent]], Awaitable[Sequence[Applied]]]


class ApplyRecords:
    """Applies batches with `apply` and wakes what waits with `sweeper` and `replayer`; all are handed in, so that a test can wrap them."""

    def __init__(
        self,
        apply: Apply,
        sweeper: Sweeper,
        replayer: Replayer,
        shop_timezone: ZoneInfo,
        watch: ApplyWatch,
        alarm: RejectAlarm,
    ) -> None:
        self._apply = apply
        self._sweeper = sweeper
        self._replayer = replayer
        self._shop_timezone = shop_timezone
        self._events = PlainReader(shop_timezone)
        self._watch = watch
        self._alarm = alarm

    def read(self, records: Sequence[Record]) -> Sequence[Message | PlainEvent]:
        """What the records say. A pure function of them, so that it may be done ahead of time, or twice."""
        if isinstance(records, Block):  # which only events have a form for
            return plain_columns(records, self._shop_timezone) or self._events.read(list(records))
        messages: list[Message | PlainEvent] = []
        for topic, run in groupby(records, key=attrgetter("topic")):
            entity = ENTITY_OF_TOPIC[topic]
            if entity is Entity.EVENT:
                messages += self._events.read(list(run))
            else:
                messages += [read_record(record, entity, self._shop_timezone) for record in run]
        return messages

    async def handle(self, conn: AsyncConnection, messages: Sequence[Message | PlainEvent]) -> BatchResult:
        """Writes a batch inside its transaction; what it counts for is told after the commit."""
        applied = await self._apply(conn, messages)
        weighed = self._alarm.weigh(messages)
        return BatchResult(
            committed=partial(self._committed, applied=applied, weighed=weighed), stop=weighed.stop
        )

    async def sweep(self, conn: AsyncConnection) -> None:
        """One round of the sweep and of replays, in transactions of their own, and a measure of what still waits."""
        self._watch.swept(await self._sweeper.sweep(conn))
        self._watch.woke(await self._replayer.replay(conn))
        await self._watch.measure_waiting(conn)

    async def _committed(
        self, conn: AsyncConnection, *, applied: Sequence[Applied], weighed: Weighed
    ) -> None:
        self._alarm.count(weighed)
        self._watch.applied(applied)
        self._watch.woke(await self._sweeper.wake(conn, applied))
