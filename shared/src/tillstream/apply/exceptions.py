"""Keeps what did not go straight into the tables: parked and quarantined messages, and the end of older entries."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import attrgetter, itemgetter
from typing import Any, LiteralString

from psycopg import AsyncConnection

from tillstream.apply.batch import Numbered, NumberedEvent
from tillstream.apply.staging import completed
from tillstream.apply.statements import EXCEPTIONS
from tillstream.apply.verdicts import DUPLICATE, ID_CONFLICT, Verdict
from tillstream.contracts.messages import Message, Refusal
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.plain_events import PlainEvent, are_all_plain
from tillstream.contracts.reasons import SENTENCES, Reason
from tillstream.contracts.records import to_json
from tillstream.errors import TransactionConflict

_KEPT = frozenset({OutcomeKind.PARKED, OutcomeKind.QUARANTINED})
_outcome, _message = attrgetter("outcome"), itemgetter(1)
_FIELD_OF = {Reason.DUPLICATE_EMAIL: "email"}


class ExceptionWriter:
    """Writes `parked` and `quarantine` in the transaction of the batch."""

    def __init__(self, parked_for: timedelta) -> None:
        self._parked_for = parked_for

    async def keep_refusals(self, conn: AsyncConnection, refused: Sequence[Numbered]) -> dict[int, Verdict]:
        """Quarantines what broke its contract."""
        verdicts = {}
        for ord_, message in refused:
            assert message.refusal is not None, "a message has either content or a refusal"
            verdicts[ord_] = Verdict(OutcomeKind.QUARANTINED, message.refusal.reason)
        return await self.keep(conn, refused, verdicts)

    async def keep(
        self, conn: AsyncConnection, numbered: Sequence[NumberedEvent], verdicts: Mapping[int, Verdict]
    ) -> dict[int, Verdict]:
        """Writes what the verdicts ask for, sorted by message id, and returns them. A refusal that is kept already is a
        refusal again, and is kept once."""
        final = dict(verdicts)
        if not (_KEPT & set(map(_outcome, final.values()))) and are_all_plain(map(_message, numbered)):
            return final
        odd = sorted(
            (
                (ord_, completed(message))
                for ord_, message in numbered
                if verdicts[ord_].outcome in _KEPT or _comes_again(message)
            ),
            key=lambda pair: pair[1].message_id,
        )
        await self._park(conn, [each for each in odd if final[each[0]].outcome is OutcomeKind.PARKED], final)
        refused = [each for each in odd if final[each[0]].outcome is OutcomeKind.QUARANTINED]
        rows = [_row(message) | _refusal(message, final[ord_]) for ord_, message in refused]
        await _written(conn, EXCEPTIONS["quarantine"], rows)
        await _close_older_entries(conn, [each for each in odd if _comes_again(each[1])], final)
        return final

    async def _park(
        self, conn: AsyncConnection, parked: Sequence[Numbered], final: dict[int, Verdict]
    ) -> None:
        """Parks them, or finds that another session parked the same id while this one was judging."""
        rows = [
            _row(message)
            | {
                "waits_for": final[ord_].waits_for,
                "waits_key": final[ord_].waits_key,
                "parked_for": self._parked_for,
            }
            for ord_, message in parked
        ]
        is_new = await _written(conn, EXCEPTIONS["park"], rows)
        for (ord_, message), is_first in zip(parked, is_new, strict=True):
            if not is_first:
                final[ord_] = await _beside_the_parked(conn, message)


async def _beside_the_parked(conn: AsyncConnection, message: Message) -> Verdict:
    cursor = await conn.execute(EXCEPTIONS["parked_content"], {"message_id": message.message_id})
    first = await cursor.fetchone()
    if first is None:
        raise TransactionConflict("a change was parked and woken by another session at the same moment")
    return DUPLICATE if first[0] == message.content_hash else ID_CONFLICT


def _comes_again(message: Message | PlainEvent) -> bool:
    return not isinstance(message, PlainEvent) and (message.correction or message.woken)


def _refusal(message: Message, verdict: Verdict) -> dict[str, Any]:
    reason = verdict.reason
    assert reason is not None, "a quarantined message has a reason"
    refusal = message.refusal or Refusal(reason, SENTENCES[reason], _FIELD_OF.get(reason))
    return {"reason": reason.value, "field": refusal.field, "message": refusal.message}


async def _written(
    conn: AsyncConnection, statement: LiteralString, rows: Sequence[dict[str, Any]]
) -> list[bool]:
    """Which of the rows the statement wrote; they go in one pipeline, whatever their number."""
    if not rows:
        return []
    async with conn.cursor() as cursor:
        await cursor.executemany(statement, rows, returning=True)
        return [result.rowcount > 0 async for result in cursor.results()]


async def _close_older_entries(
    conn: AsyncConnection, again: Sequence[Numbered], final: Mapping[int, Verdict]
) -> None:
    """`again` are corrections and what woke. A correction that is refused leaves alone what waits under its id."""
    if not again:
        return
    outcomes = [final[ord_].outcome for ord_, _ in again]
    refused = [outcome is OutcomeKind.QUARANTINED for outcome in outcomes]
    await conn.execute(
        EXCEPTIONS["resolve"],
        {
            "message_ids": [message.message_id for _, message in again],
            "versions": [message.version for _, message in again],
            "hashes": [message.content_hash for _, message in again],
            "resolutions": [
                "refused_again" if is_refused else outcome.value
                for outcome, is_refused in zip(outcomes, refused, strict=True)
            ],
            "refused": refused,
            "corrections": [message.correction for _, message in again],
        },
    )
    woken = [
        message.message_id
        for (_, message), outcome in zip(again, outcomes, strict=True)
        if message.woken and outcome is not OutcomeKind.PARKED
    ]
    await conn.execute(EXCEPTIONS["unpark"], {"message_ids": woken})


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
        "woken": message.woken,
        "again": _comes_again(message),
    }
