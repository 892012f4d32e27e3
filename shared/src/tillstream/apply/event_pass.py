"""One pass over the staged events: a single insert for all that is new, a closer look at the rest."""

from collections.abc import Sequence

from psycopg import AsyncConnection

from tillstream.apply.statements import EVENTS, STAGING
from tillstream.apply.verdicts import Verdict
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import Reason

_STORED = Verdict(OutcomeKind.STORED)
_DUPLICATE = Verdict(OutcomeKind.DUPLICATE)
_CONFLICT = Verdict(OutcomeKind.QUARANTINED, Reason.ID_CONFLICT)


class EventPass:
    """Judges and writes the rows that are active in `incoming_events`. One object serves one transaction."""

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn

    async def activate(self, ords: Sequence[int]) -> None:
        """From now on the pass sees these rows only."""
        await self._conn.execute(STAGING["activate_events"], {"ords": list(ords)})

    async def run(self, ords: Sequence[int]) -> dict[int, Verdict]:
        """`ords` are the active rows: `stored` for what the insert took, the judgement of a second look for the rest."""
        verdicts = dict.fromkeys(ords, _STORED)
        cursor = await self._conn.execute(EVENTS["insert"])
        left = [row[0] for row in await cursor.fetchall()]
        if left:
            verdicts |= await self._judge(left)
        return verdicts

    async def refuse(self, ords: Sequence[int], verdict: Verdict) -> dict[int, Verdict]:
        """The verdict for every active row, without touching the table."""
        return dict.fromkeys(ords, verdict)

    async def _judge(self, ords: Sequence[int]) -> dict[int, Verdict]:
        cursor = await self._conn.execute(EVENTS["judge"], {"ords": list(ords)})
        return {ord_: _verdict(outcome, *parent) for ord_, outcome, *parent in await cursor.fetchall()}


def _verdict(outcome: str, waits_for: str, waits_key: int) -> Verdict:
    kind = OutcomeKind(outcome)
    if kind is OutcomeKind.PARKED:
        return Verdict(kind, None, waits_for, waits_key)
    return _DUPLICATE if kind is OutcomeKind.DUPLICATE else _CONFLICT
