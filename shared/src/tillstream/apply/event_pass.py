"""One pass over the staged events: a single insert for all that is new, a closer look at the rest."""

from collections.abc import Mapping, Sequence

from psycopg import AsyncConnection

from tillstream.apply.staging import completed
from tillstream.apply.statements import EVENTS, STAGING
from tillstream.apply.verdicts import DUPLICATE, ID_CONFLICT, STORED, Verdict
from tillstream.contracts.messages import Message
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.plain_events import PlainEvent
from tillstream.errors import TransactionConflict

type _Parent = tuple[str | None, int | None]


class EventPass:
    """Judges and writes the rows that are active in `incoming_events`. One object serves one transaction."""

    def __init__(self, conn: AsyncConnection, messages: Sequence[Message | PlainEvent]) -> None:
        """`messages` are the whole batch: a row's number is its place among them."""
        self._conn = conn
        self._messages = messages

    async def activate(self, ords: Sequence[int]) -> None:
        """From now on the pass sees these rows only."""
        await self._conn.execute(STAGING["activate_events"], {"ords": list(ords)})

    async def run(self, ords: Sequence[int]) -> dict[int, Verdict]:
        """`ords` are the active rows: `stored` for what the insert takes, the judgement of a second look for the rest."""
        return dict.fromkeys(ords, STORED) | await self.run_all(len(ords))

    async def run_all(self, count: int) -> dict[int, Verdict]:
        """The same for `count` active rows, of which only those are told that were not simply stored."""
        cursor = await self._conn.execute(EVENTS["look"])
        odd = {ord_: (waits_for, key) for ord_, waits_for, key in await cursor.fetchall()}
        if len(odd) < count:
            await self._conn.execute(EVENTS["insert"], {"odd": list(odd)})
        return await self._judge(odd) if odd else {}

    async def refuse(self, ords: Sequence[int], verdict: Verdict) -> dict[int, Verdict]:
        """The verdict for every active row, without touching the table."""
        return dict.fromkeys(ords, verdict)

    async def _judge(self, lacking: Mapping[int, _Parent]) -> dict[int, Verdict]:
        """`lacking` are the rows that were not stored, each with the parent that is missing, if any."""
        cursor = await self._conn.execute(EVENTS["judge"], {"ords": list(lacking)})
        return {
            ord_: self._verdict(ord_, outcome, waiting_content, lacking[ord_])
            for ord_, outcome, waiting_content in await cursor.fetchall()
        }

    def _verdict(
        self, ord_: int, outcome: str | None, waiting_content: bytes | None, lacks: _Parent
    ) -> Verdict:
        if outcome is not None:
            return DUPLICATE if outcome == OutcomeKind.DUPLICATE else ID_CONFLICT
        if waiting_content is not None:
            is_same = completed(self._messages[ord_]).content_hash == waiting_content
            return DUPLICATE if is_same else ID_CONFLICT
        return _parked(lacks)


def _parked(lacks: _Parent) -> Verdict:
    waits_for, key = lacks
    if waits_for is None:
        raise TransactionConflict(
            "an event's id was taken and given up by another session at the same moment"
        )
    return Verdict(OutcomeKind.PARKED, None, waits_for, key)
