"""Keeps what did not go straight into the tables: parked and quarantined messages, and the end of older entries."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection

from tillstream.apply.staging import Numbered
from tillstream.apply.statements import EXCEPTIONS
from tillstream.apply.verdicts import Verdict
from tillstream.contracts.messages import Message, Refusal
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import SENTENCES, Reason
from tillstream.contracts.records import to_json
from tillstream.errors import TransactionConflict

_DUPLICATE = Verdict(OutcomeKind.DUPLICATE)
_CONFLICT = Verdict(OutcomeKind.QUARANTINED, Reason.ID_CONFLICT)
_FIELD_OF = {Reason.DUPLICATE_EMAIL: "email"}


class ExceptionWriter:
    """Writes `parked` and `quarantine` in the transaction of the batch."""

    def __init__(self, parked_for: timedelta) -> None:
        self._parked_for = parked_for

    async def keep_refusals(self, conn: AsyncConnection, refused: Sequence[Numbered]) -> dict[int, Verdict]:
        """Quarantines what broke its contract; a second copy of the same refusal is a duplicate."""
        verdicts = {}
        for ord_, message in refused:
            assert message.refusal is not None, "a message has either content or a refusal"
            verdicts[ord_] = Verdict(OutcomeKind.QUARANTINED, message.refusal.reason)
        return await self.keep(conn, refused, verdicts)

    async def keep(
        self, conn: AsyncConnection, numbered: Sequence[Numbered], verdicts: Mapping[int, Verdict]
    ) -> dict[int, Verdict]:
        """Writes what the verdicts ask for, sorted by message id, and returns them: a refusal that is already kept
        turns into `duplicate`."""
        final = dict(verdicts)
        odd = [
            (ord_, message)
            for ord_, message in numbered
            if message.correction or verdicts[ord_].outcome in {OutcomeKind.PARKED, OutcomeKind.QUARANTINED}
        ]
        for ord_, message in sorted(odd, key=lambda pair: pair[1].message_id):
            final[ord_] = await self._keep_one(conn, message, verdicts[ord_])
        return final

    async def _keep_one(self, conn: AsyncConnection, message: Message, verdict: Verdict) -> Verdict:
        if verdict.outcome is OutcomeKind.PARKED:
            verdict = await self._park(conn, message, verdict)
        if verdict.outcome is OutcomeKind.QUARANTINED:
            is_new = await self._quarantine(conn, message, verdict)
            if not is_new and not message.correction:
                return _DUPLICATE
        if message.correction:
            await _close_older_entries(conn, message, verdict)
        return verdict

    async def _quarantine(self, conn: AsyncConnection, message: Message, verdict: Verdict) -> bool:
        reason = verdict.reason
        assert reason is not None, "a quarantined message has a reason"
        refusal = message.refusal or Refusal(reason, SENTENCES[reason], _FIELD_OF.get(reason))
        row = _row(message) | {
            "reason": reason.value,
            "field": refusal.field,
            "message": refusal.message,
            "correction": message.correction,
        }
        cursor = await conn.execute(EXCEPTIONS["quarantine"], row)
        return await cursor.fetchone() is not None

    async def _park(self, conn: AsyncConnection, message: Message, verdict: Verdict) -> Verdict:
        """Parks it, or finds that another session parked the same id while this one was judging."""
        row = _row(message) | {
            "waits_for": verdict.waits_for,
            "waits_key": verdict.waits_key,
            "parked_for": self._parked_for,
            "correction": message.correction,
        }
        cursor = await conn.execute(EXCEPTIONS["park"], row)
        if await cursor.fetchone() is not None:
            return verdict
        cursor = await conn.execute(EXCEPTIONS["parked_content"], {"message_id": message.message_id})
        first = await cursor.fetchone()
        if first is None:
            raise TransactionConflict("a change was parked and woken by another session at the same moment")
        return _DUPLICATE if first[0] == message.content_hash else _CONFLICT


async def _close_older_entries(conn: AsyncConnection, message: Message, verdict: Verdict) -> None:
    is_refused = verdict.outcome is OutcomeKind.QUARANTINED
    await conn.execute(
        EXCEPTIONS["resolve"],
        {
            "message_id": message.message_id,
            "resolution": "refused_again" if is_refused else verdict.outcome.value,
            "keep": message.content_hash if is_refused else None,
        },
    )
    if verdict.outcome is not OutcomeKind.PARKED:
        await conn.execute(EXCEPTIONS["unpark"], {"message_ids": [message.message_id]})


def _row(message: Message) -> dict[str, Any]:
    origin = message.origin
    return {
        "message_id": message.message_id,
        "content_hash": message.content_hash,
        "entity": message.entity.value,
        "version": message.version,
        "payload": message.payload,
        "content": to_json(message.entity, message.content) if message.content is not None else None,
        "source": message.source,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "job_id": origin.job_id,
        "line": origin.line,
        "accepted_at": message.accepted_at,
    }
