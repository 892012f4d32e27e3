"""What applied batches and sweeps tell the process's metrics."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import product
from operator import attrgetter

from psycopg import AsyncConnection

from tillstream.apply.applied import Applied
from tillstream.apply.applied_columns import AppliedColumns
from tillstream.apply.sweep import Swept
from tillstream.clock import Clock
from tillstream.contracts.entities import Entity
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import Reason
from tillstream.db.queries import load
from tillstream.observe.metrics import Fading, Metrics

type _Kind = tuple[Entity, datetime, OutcomeKind, Reason | None]

_KIND = attrgetter("message.entity", "message.accepted_at", "outcome", "reason")
_PARENTS = ("user", "product", "order")
# A round of the sweep is due every second. Who has no partition any more does none, and what it knew is not so any more.
COUNTS_FOR_S = 60.0
QUARANTINE_EVERY_S = 10.0


class ApplyWatch:
    """Counts after the commit, never before."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._sql = load("etl_worker", "parked.sql")
        for entity, outcome in product(
            Entity, OutcomeKind
        ):  # from 0 on: Prometheus sees the first ones as a rise
            metrics.applied_records.labels(entity, outcome)
        self._parked = {
            parent: Fading(metrics.parked_rows.labels(parent), clock, COUNTS_FOR_S) for parent in _PARENTS
        }
        self._oldest = Fading(metrics.parked_oldest_age_seconds, clock, COUNTS_FOR_S)
        self._quarantined = Fading(metrics.quarantine_open_entries, clock, COUNTS_FOR_S)
        self._quarantine_due = clock.monotonic()

    def applied(self, applied: Sequence[Applied]) -> None:
        """A batch was committed. Its way from the door is observed once per entity and moment of acceptance, which is
        once per request: a figure per message would cost more than the message."""
        kinds = _kinds(applied)
        self._count(kinds)
        now = self._clock.now()
        for entity, accepted_at in {(entity, accepted_at) for entity, accepted_at, *_ in kinds}:
            waited_s = max((now - accepted_at).total_seconds(), 0.0)
            self._metrics.event_to_table_seconds.labels(entity).observe(waited_s)

    def woke(self, applied: Sequence[Applied]) -> None:
        """A wake-up or a round of replays was committed."""
        self._count(Counter(map(_KIND, applied)))

    def swept(self, swept: Swept) -> None:
        """A round of the sweep was committed. One that another session kept from its work is no success."""
        self.woke(swept.applied)
        if swept.is_success:
            self._metrics.succeeded("sweep", self._clock)

    async def measure_waiting(self, conn: AsyncConnection) -> None:
        """Reads how many changes wait for which kind of parent, and for how long; and, less often, how many refused messages
        wait for a person. Raises psycopg's errors."""
        rows = await (await conn.execute(self._sql["waiting"])).fetchall()
        counts = {waits_for: count for waits_for, count, _ in rows}
        for parent in _PARENTS:
            self._parked[parent].set(counts.get(parent, 0))
        self._oldest.set(max((float(age) for _, _, age in rows), default=0.0))
        if self._clock.monotonic() >= self._quarantine_due:
            self._quarantine_due = self._clock.monotonic() + QUARANTINE_EVERY_S
            row = await (await conn.execute(self._sql["quarantined"])).fetchone()
            assert row is not None, "a count is always there"
            self._quarantined.set(row[0])

    def _count(self, kinds: Mapping[_Kind, int]) -> None:
        for (entity, _, outcome, reason), count in kinds.items():
            self._metrics.applied_records.labels(entity, outcome).inc(count)
            if reason is not None:
                self._metrics.quarantined_records.labels(entity, reason).inc(count)


def _kinds(applied: Sequence[Applied]) -> Counter[_Kind]:
    """How many there are of each kind; columns are counted without a step of Python for each event."""
    if not isinstance(applied, AppliedColumns):
        return Counter(map(_KIND, applied))
    stored = {
        (Entity.EVENT, moment, OutcomeKind.STORED, None): count
        for moment, count in applied.stored_by_moment().items()
        if count
    }
    return Counter(map(_KIND, applied.one_by_one)) + Counter(stored)
