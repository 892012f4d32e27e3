"""What applied batches and sweeps tell the process's metrics."""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

from psycopg import AsyncConnection

from tillstream.apply.engine import Applied
from tillstream.clock import Clock
from tillstream.db.queries import load
from tillstream.observe.metrics import Metrics

_REQUEST = attrgetter("message.entity", "message.accepted_at")
_OUTCOME = attrgetter("message.entity", "outcome")
_PARENTS = ("user", "product", "order")


class ApplyWatch:
    """Counts after the commit, never before."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._sql = load("etl_worker", "parked.sql")

    def applied(self, applied: Sequence[Applied]) -> None:
        """A batch was committed. Its way from the door is observed once per entity and moment of acceptance, which is
        once per request: a figure per message would cost more than the message."""
        self._count(applied)
        now = self._clock.now()
        for entity, accepted_at in set(map(_REQUEST, applied)):
            waited_s = max((now - accepted_at).total_seconds(), 0.0)
            self._metrics.event_to_table_seconds.labels(entity).observe(waited_s)

    def woke(self, applied: Sequence[Applied]) -> None:
        """A round of the sweep was committed."""
        self._count(applied)
        self._metrics.succeeded("sweep", self._clock)

    async def measure_parked(self, conn: AsyncConnection) -> None:
        """Reads how many changes wait for which kind of parent, and for how long. Raises psycopg's errors."""
        rows = await (await conn.execute(self._sql["waiting"])).fetchall()
        counts = {waits_for: count for waits_for, count, _ in rows}
        for parent in _PARENTS:
            self._metrics.parked_rows.labels(parent).set(counts.get(parent, 0))
        self._metrics.parked_oldest_age_seconds.set(max((float(age) for _, _, age in rows), default=0.0))

    def _count(self, applied: Sequence[Applied]) -> None:
        outcomes = Counter(map(_OUTCOME, applied))
        for (entity, outcome), count in outcomes.items():
            self._metrics.applied_records.labels(entity, outcome).inc(count)
        reasons = Counter((each.message.entity, each.reason) for each in applied if each.reason is not None)
        for (entity, reason), count in reasons.items():
            self._metrics.quarantined_records.labels(entity, reason).inc(count)
