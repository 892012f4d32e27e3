"""Applies a batch of messages inside the caller's transaction: any order, any repetition, the same tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import psycopg
from psycopg import AsyncConnection

from tillstream.apply.change_pass import ChangePass
from tillstream.apply.event_pass import EventPass
from tillstream.apply.exceptions import ExceptionWriter
from tillstream.apply.staging import Numbered, NumberedEvent, stage
from tillstream.apply.verdicts import REFUSED_BY_DATABASE, Verdict
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.plain_events import PlainEvent, are_all_plain
from tillstream.contracts.reasons import Reason
from tillstream.db.failures import is_about_a_record

DEFAULT_PARKED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ApplyPolicy:
    """`parked_for`: how long a change waits for its parent before it also shows in quarantine."""

    parked_for: timedelta = DEFAULT_PARKED_FOR


class Applied(NamedTuple):
    """What became of one message. A named tuple: there are 50,000 of them a second."""

    message: Message | PlainEvent
    outcome: OutcomeKind
    reason: Reason | None = None


_outcome, _reason = attrgetter("outcome"), attrgetter("reason")
_make_applied = partial(tuple.__new__, Applied)


class Engine:
    """Stateless; one serves any number of connections."""

    def __init__(self, policy: ApplyPolicy | None = None) -> None:
        self._exceptions = ExceptionWriter((policy or ApplyPolicy()).parked_for)

    async def apply(self, conn: AsyncConnection, messages: Sequence[Message | PlainEvent]) -> list[Applied]:
        """One outcome per message, in the order given; everything is written, nothing committed.

        Must be the first thing in the caller's transaction; the caller moves its fence after it, in the same one.
        May be repeated: messages that were applied before come out as `duplicate`. Raises psycopg's errors as they
        are, except those of class 22 and 23, which end as `refused_by_database` for the one record that caused them, and
        TransactionConflict where another session was faster: then the batch is run again.
        """
        changes, events, refused = _sort_out(messages)
        again = _further_copies(changes) | _further_copies(events)
        await stage(conn, changes, events, again)
        verdicts = await self._exceptions.keep_refusals(conn, refused)
        for step, numbered in ((ChangePass(conn), changes), (EventPass(conn, dict(events)), events)):
            verdicts |= await self._run_twice(conn, step, numbered, again)
        in_order = list(map(verdicts.__getitem__, range(len(messages))))
        columns = messages, map(_outcome, in_order), map(_reason, in_order)
        return list(map(_make_applied, zip(*columns, strict=True)))

    async def _run_twice(
        self,
        conn: AsyncConnection,
        step: ChangePass | EventPass,
        numbered: Sequence[NumberedEvent],
        again: set[int],
    ) -> dict[int, Verdict]:
        """The first copy of each id, then, against what that one left behind, all further copies."""
        verdicts: dict[int, Verdict] = {}
        rounds: tuple[Sequence[NumberedEvent], ...] = (numbered,)
        if again:
            rounds = [n for n in numbered if n[0] not in again], [n for n in numbered if n[0] in again]
        for copies in rounds:
            if copies:
                if verdicts:
                    await step.activate([ord_ for ord_, _ in copies])
                found = await self._narrow_down(conn, step, copies)
                kept = await self._exceptions.keep(conn, copies, found)
                verdicts |= kept
        return verdicts

    async def _narrow_down(
        self, conn: AsyncConnection, step: ChangePass | EventPass, copies: Sequence[NumberedEvent]
    ) -> dict[int, Verdict]:
        """Runs the step; a record that the database refuses is found by halving, under savepoints.

        The whole is tried twice first: what another session stored in between is seen by the second try.
        """
        ords = [ord_ for ord_, _ in copies]
        for _ in range(2):
            try:
                async with conn.transaction():
                    return await step.run(ords)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                if not is_about_a_record(error):
                    raise
        if len(copies) == 1:
            return await step.refuse(ords, REFUSED_BY_DATABASE)
        middle = len(copies) // 2
        verdicts: dict[int, Verdict] = {}
        for half in (copies[:middle], copies[middle:]):
            await step.activate([ord_ for ord_, _ in half])
            verdicts |= await self._narrow_down(conn, step, half)
        await step.activate(ords)
        return verdicts


def _sort_out(
    messages: Sequence[Message | PlainEvent],
) -> tuple[list[Numbered], list[NumberedEvent], list[Numbered]]:
    """Changes of entities, events, and what broke its contract, each with its place in the batch."""
    changes: list[Numbered] = []
    events: list[NumberedEvent] = []
    refused: list[Numbered] = []
    if are_all_plain(messages):  # as most batches are, and all that come fast
        return changes, list(enumerate(messages)), refused
    for ord_, message in enumerate(messages):
        if isinstance(message, PlainEvent):
            events.append((ord_, message))
        elif message.content is None:
            refused.append((ord_, message))
        elif message.entity is Entity.EVENT:
            events.append((ord_, message))
        else:
            changes.append((ord_, message))
    return changes, events, refused


def _further_copies(numbered: Sequence[NumberedEvent]) -> set[int]:
    """The places at which a message id stands again."""
    ids = [message.id_bytes for _, message in numbered]
    if len(set(ids)) == len(ids):
        return set()
    first_of: dict[bytes, int] = {}
    for (ord_, _), message_id in zip(numbered, ids, strict=True):
        first_of.setdefault(message_id, ord_)
    return {ord_ for ord_, _ in numbered} - set(first_of.values())
