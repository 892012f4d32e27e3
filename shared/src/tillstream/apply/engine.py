"""Applies a batch of messages inside the caller's transaction: any order, any repetition, the same tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from operator import attrgetter

import psycopg
from psycopg import AsyncConnection

from tillstream.apply.applied import Applied
from tillstream.apply.applied_columns import AppliedColumns
from tillstream.apply.batch import Batch, NumberedEvent, sorted_out
from tillstream.apply.change_pass import ChangePass
from tillstream.apply.event_pass import EventPass
from tillstream.apply.exceptions import ExceptionWriter
from tillstream.apply.staging import stage
from tillstream.apply.verdicts import REFUSED_BY_DATABASE, STORED, Verdict
from tillstream.contracts.messages import Message
from tillstream.contracts.plain_events import PlainEvent
from tillstream.db.failures import is_about_a_record

DEFAULT_PARKED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ApplyPolicy:
    """`parked_for`: how long a change waits for its parent before it also shows in quarantine."""

    parked_for: timedelta = DEFAULT_PARKED_FOR


_outcome, _reason = attrgetter("outcome"), attrgetter("reason")
_make_applied = partial(tuple.__new__, Applied)


class Engine:
    """Stateless; one serves any number of connections."""

    def __init__(self, policy: ApplyPolicy | None = None) -> None:
        self._exceptions = ExceptionWriter((policy or ApplyPolicy()).parked_for)

    async def apply(
        self, conn: AsyncConnection, messages: Sequence[Message | PlainEvent]
    ) -> Sequence[Applied]:
        """One outcome per message, in the order given; everything is written, nothing committed.

        Must be the first thing in the caller's transaction; the caller moves its fence after it, in the same one.
        May be repeated: messages that were applied before come out as `duplicate`. Raises psycopg's errors as they
        are, except those of class 22 and 23, which end as `refused_by_database` for the one record that caused them, and
        TransactionConflict where another session was faster: then the batch is run again.
        """
        batch = sorted_out(messages)
        again = _further_copies(batch.changes) | _further_copies(batch.events)
        await stage(conn, batch, again)
        verdicts = await self._exceptions.keep_refusals(conn, batch.refused)
        verdicts |= await self._run_twice(conn, ChangePass(conn), batch.changes, again)
        events = EventPass(conn, messages)
        if batch.columns:
            verdicts |= await self._run_columns(conn, events, batch, messages)
            return AppliedColumns(messages, batch, verdicts)
        verdicts |= await self._run_twice(conn, events, batch.events, again)
        in_order = list(map(verdicts.__getitem__, range(len(messages))))
        columns = messages, map(_outcome, in_order), map(_reason, in_order)
        return list(map(_make_applied, zip(*columns, strict=True)))

    async def _run_columns(
        self, conn: AsyncConnection, step: EventPass, batch: Batch, messages: Sequence[Message | PlainEvent]
    ) -> dict[int, Verdict]:
        """The verdicts on all events but those in columns that were simply stored. No event of the batch comes twice.

        Where the database refuses one, all go the usual way, and are told.
        """
        try:
            async with conn.transaction():
                odd = await step.run_all(batch.event_count)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if not is_about_a_record(error):
                raise
            return await self._run_twice(conn, step, batch.all_events(), set())
        found = dict.fromkeys((ord_ for ord_, _ in batch.events), STORED) | odd
        return await self._exceptions.keep(conn, [(ord_, messages[ord_]) for ord_ in found], found)

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


def _further_copies(numbered: Sequence[NumberedEvent]) -> set[int]:
    """The places at which a message id stands again."""
    ids = [message.id_bytes for _, message in numbered]
    if len(set(ids)) == len(ids):
        return set()
    first_of: dict[bytes, int] = {}
    for (ord_, _), message_id in zip(numbered, ids, strict=True):
        first_of.setdefault(message_id, ord_)
    return {ord_ for ord_, _ in numbered} - set(first_of.values())
