"""From records to outcomes: the handler of the consumer loop, and the sweep between batches."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from etl_worker.watch import ApplyWatch
from tillstream.apply.engine import Applied
from tillstream.contracts.entities import ENTITY_OF_TOPIC, Entity
from tillstream.contracts.envelope import read_record
from tillstream.contracts.messages import Message
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.kafka.records import Record
from tillstream.kafka.steps import BatchResult

SWEEP_LIMIT = 1_000
# What one visit may wake, so that a large wave of wakings cannot keep the stream waiting.
SWEEP_ROUNDS = 10
_PARENTS = frozenset({Entity.USER, Entity.PRODUCT, Entity.ORDER})

type Apply = Callable[[AsyncConnection, Sequence[Message]], Awaitable[list[Applied]]]
type Sweep = Callable[[AsyncConnection, int], Awaitable[list[Applied]]]


class ApplyRecords:
    """Applies batches with `apply` and wakes what waits with `sweep`; both are handed in, so that a test can wrap them."""

    def __init__(self, apply: Apply, sweep: Sweep, shop_timezone: ZoneInfo, watch: ApplyWatch) -> None:
        self._apply = apply
        self._sweep = sweep
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
        """Wakes what can be woken now, in transactions of its own, and measures what still waits."""
        for _ in range(SWEEP_ROUNDS):
            woken = await self._sweep(conn, SWEEP_LIMIT)
            self._watch.woke(woken)
            if len(woken) < SWEEP_LIMIT:
                break
        await self._watch.measure_parked(conn)

    async def _committed(self, conn: AsyncConnection, *, applied: Sequence[Applied]) -> None:
        self._watch.applied(applied)
        if any(each.outcome is OutcomeKind.STORED and each.message.entity in _PARENTS for each in applied):
            await self.sweep(conn)
