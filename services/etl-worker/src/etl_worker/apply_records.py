"""From records to outcomes: the handler of the consumer loop, and the sweep between batches."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from etl_worker.watch import ApplyWatch
from tillstream.apply.engine import Applied
from tillstream.apply.replay import Replayer
from tillstream.apply.sweep import Sweeper
from tillstream.contracts.entities import ENTITY_OF_TOPIC
from tillstream.contracts.envelope import read_record
from tillstream.contracts.messages import Message
from tillstream.kafka.records import Record
from tillstream.kafka.steps import BatchResult

type Apply = Callable[[AsyncConnection, Sequence[Message]], Awaitable[list[Applied]]]


class ApplyRecords:
    """Applies batches with `apply` and wakes what waits with `sweeper` and `replayer`; all are handed in, so that a test can wrap them."""

    def __init__(
        self, apply: Apply, sweeper: Sweeper, replayer: Replayer, shop_timezone: ZoneInfo, watch: ApplyWatch
    ) -> None:
        self._apply = apply
        self._sweeper = sweeper
        self._replayer = replayer
        self._shop_timezone = shop_timezone
        self._watch = watch

    async def handle(self, conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        """Writes a batch inside its transaction; what it counts for is told after the commit."""
        messages = [
            read_record(record, ENTITY_OF_TOPIC[record.topic], self._shop_timezone) for record in records
        ]
        applied = await self._apply(conn, messages)
        return BatchResult(committed=partial(self._committed, applied=applied))

    async def sweep(self, conn: AsyncConnection) -> None:
        """One round of the sweep and of replays, in transactions of their own, and a measure of what still waits."""
        self._watch.woke(await self._sweeper.sweep(conn))
        self._watch.woke(await self._replayer.replay(conn))
        await self._watch.measure_parked(conn)

    async def _committed(self, conn: AsyncConnection, *, applied: Sequence[Applied]) -> None:
        self._watch.applied(applied)
        self._watch.woke(await self._sweeper.wake(conn, applied))
