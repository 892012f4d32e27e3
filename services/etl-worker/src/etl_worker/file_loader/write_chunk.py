"""Writes one chunk of a file: its rows, its outcomes and how far the job is, in one transaction."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import AsyncConnection

from etl_worker.file_loader.chunks import ChunkReader, Ready
from etl_worker.file_loader.claimed_file import ClaimedFile
from etl_worker.file_loader.jobs import Job, Jobs, Step
from etl_worker.file_loader.runs import LoadPolicy, Run
from etl_worker.file_loader.transaction import transaction
from etl_worker.file_loader.watch import LoadWatch
from tillstream.apply.applied import Applied
from tillstream.apply.file_rows import FileRows
from tillstream.clock import Clock
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.plain_rows import PlainRows
from tillstream.csv.rejects import FirstAttempt
from tillstream.csv.row_messages import RowMessage, RowMessages, keys_of, refuse_repeated_keys
from tillstream.csv.rows import Row
from tillstream.db.failures import translated
from tillstream.errors import LongWay, TransactionConflict, TransactionTimedOut
from tillstream.kafka.batch_size import BatchSize
from tillstream.kafka.steps import Commit

Apply = Callable[[AsyncConnection, Sequence[Message]], Awaitable[Sequence[Applied]]]
Wake = Callable[[AsyncConnection, Sequence[Applied], Sequence[tuple[str, int]]], Awaitable[Sequence[Applied]]]


class KeysSeen:
    """Which keys the earlier rows of one job have taken. A file in the order of its keys needs no query for it."""

    def __init__(self, jobs: Jobs, job: Job, entity: Entity) -> None:
        self._jobs = jobs
        self._job = job
        self._entity = entity
        self._highest = 0 if job.rows == 0 else None  # of one that goes on, nobody knows

    async def among(self, conn: AsyncConnection, keys: Sequence[int]) -> set[int]:
        """Those of these keys, of one chunk, that an earlier one has. Events have none."""
        if not keys:
            return set()
        is_ascending = self._highest is not None and min(keys) > self._highest
        if self._highest is not None:
            self._highest = max(self._highest, *keys)
        if is_ascending:
            return set()
        return await self._jobs.keys_taken(conn, self._job.job_id, self._entity, keys)


@dataclass(frozen=True, slots=True)
class Origin:
    """The file of the chunks, and what makes messages of its rows or writes them without."""

    file: ClaimedFile
    reader: ChunkReader
    maker: RowMessages
    keys: KeysSeen
    rows: FileRows


@dataclass(frozen=True, slots=True)
class _Work:
    """One chunk on its way: the messages of its other rows, the keys that earlier rows have, the jobs that it corrects.

    `contested` are the plain lines whose key, or of an event the id, one of the other rows has too.
    """

    run: Run
    origin: Origin
    ready: Ready
    messages: Sequence[RowMessage]
    taken: set[int]
    contested: set[int]
    corrects: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a chunk: `applied` of its messages, `outcomes` of all its rows, also of those that went without one."""

    applied: Sequence[Applied]
    outcomes: Counter[OutcomeKind]


class WriteChunk:
    """Remembers how many rows a transaction is in time with; one per runner."""

    def __init__(
        self,
        jobs: Jobs,
        apply: Apply,
        wake: Wake,
        clock: Clock,
        watch: LoadWatch,
        policy: LoadPolicy,
        commit: Commit,
    ) -> None:
        self._jobs = jobs
        self._apply = apply
        self._wake = wake
        self._clock = clock
        self._watch = watch
        self._policy = policy
        self._commit = commit
        self._chunk_size = BatchSize(policy.chunk_rows)

    @property
    def rows(self) -> int:
        """How many the next chunk may have."""
        return self._chunk_size.records

    async def __call__(self, run: Run, origin: Origin, ready: Ready) -> int:
        """Writes it, again if another transaction was in its way; at the end `run.from_byte` is behind it. Returns how many of its
        rows were refused.

        Raises OwnershipLost, FileRefused where the file was changed, and Retryable. Where it took too long, the job's next
        attempt does less at once.
        """
        work = await self._prepared(run, origin, ready)
        began = self._clock.monotonic()
        try:
            written = await self._in_some_attempts(work)
        except TransactionTimedOut:
            self._chunk_size.timed_out(len(ready.chunk))
            raise
        self._chunk_size.committed()
        size = ready.chunk.next_byte - run.from_byte
        self._watch.loaded(
            run.kind or "", written.applied, written.outcomes, size, self._clock.monotonic() - began
        )
        run.lap.committed()
        run.from_byte = ready.chunk.next_byte
        await self._wake_up(run.conn, origin.rows, ready, written)
        return written.outcomes[OutcomeKind.QUARANTINED]

    async def _prepared(self, run: Run, origin: Origin, ready: Ready) -> _Work:
        """What is asked before the transaction, whose first step is a COPY."""
        messages = await self._messages(run.conn, origin.maker, ready.others)
        attempts = {each.corrects for each in messages if each.corrects is not None}
        corrects = await self._jobs.refused_in(run.conn, run.job.job_id, attempts) if attempts else []
        keys = keys_of(messages)
        taken = await origin.keys.among(run.conn, [*ready.plain.keys, *keys])
        contested = _contested(ready.plain, messages, keys)
        return _Work(run, origin, ready, messages, taken, contested, corrects)

    async def _in_some_attempts(self, work: _Work) -> Written:
        goes_long_way = False
        for attempts_left in reversed(range(self._policy.conflict_attempts)):
            try:
                with translated():
                    return await self._try(work, goes_long_way=goes_long_way)
            except LongWay as error:
                goes_long_way = True
                self._watch.retried(error)
            except TransactionConflict as error:
                if not attempts_left:
                    raise
                self._watch.retried(error)
                await asyncio.sleep(self._policy.conflict_wait_s)
        raise TransactionConflict("a chunk met conflicts at every attempt")

    async def _try(self, work: _Work, *, goes_long_way: bool) -> Written:
        run, chunk, plain, rows = work.run, work.ready.chunk, work.ready.plain, work.origin.rows
        async with transaction(run.conn, self._commit):
            left_out = set(plain.lines)
            if len(plain) and not goes_long_way:
                left_out = await rows.stage(run.conn, plain, work.ready.pieces)
                left_out |= work.contested | _lines_of(plain, work.taken)
            applied = await self._applied(run, await self._judged(work, left_out))
            outcomes = Counter(each.outcome for each in applied)
            if len(left_out) < len(plain):
                outcomes += await rows.store(run.conn, left_out)
            assert outcomes.total() == len(chunk), "every row has one outcome"
            if work.corrects:
                await self._jobs.link(run.conn, run.job.job_id, work.corrects)
            work.origin.file.check_unchanged()
            step = Step(run.from_byte, chunk.next_byte, chunk.next_line, outcomes, run.lap())
            await self._jobs.advance(run.conn, run.job, step)
        return Written(applied, outcomes)

    async def _judged(self, work: _Work, left_out: set[int]) -> list[RowMessage]:
        """The messages of all rows that the engine judges, in the order of the file."""
        messages = list(work.messages)
        if left_out:
            rows = work.origin.reader.plain_rows(work.ready.chunk, left_out)
            messages += await self._messages(work.run.conn, work.origin.maker, rows)
            messages.sort(key=_line)
        return refuse_repeated_keys(messages, work.taken)

    async def _messages(
        self, conn: AsyncConnection, maker: RowMessages, rows: Sequence[Row]
    ) -> list[RowMessage]:
        if not rows:
            return []
        attempts = maker.attempts(rows)
        first_ids = {each.message_id for each in attempts.values() if isinstance(each, FirstAttempt)}
        known = await self._jobs.first_attempts(conn, first_ids) if first_ids else {}
        messages = maker.messages(rows, attempts, known)
        await asyncio.sleep(0)  # the consumer and the ops port have their turn
        return messages

    async def _applied(self, run: Run, messages: Sequence[RowMessage]) -> Sequence[Applied]:
        if not messages:
            return []
        applied = await self._apply(run.conn, [each.message for each in messages])
        assert len(applied) == len(messages), "every message has one outcome"
        await self._settle_corrections(run, messages, applied)
        return applied

    async def _settle_corrections(
        self, run: Run, messages: Sequence[RowMessage], applied: Sequence[Applied]
    ) -> None:
        """What the engine cannot know: an event may have got another id, and a refusal may be an old one."""
        refused = [
            each.message
            for each, result in zip(messages, applied, strict=True)
            if result.outcome is OutcomeKind.QUARANTINED
        ]
        if refused:
            lines = [(each.message_id, each.content_hash, each.origin.line or 0) for each in refused]
            await self._jobs.adopt(run.conn, run.job.job_id, lines)
        renamed = {
            each.corrects
            for each, result in zip(messages, applied, strict=True)
            if each.corrects is not None
            and each.corrects.message_id != each.message.message_id
            and result.outcome is not OutcomeKind.QUARANTINED
        }
        if renamed:
            await self._jobs.close(run.conn, renamed)

    async def _wake_up(self, conn: AsyncConnection, rows: FileRows, ready: Ready, written: Written) -> None:
        """What waited for the rows of a chunk; where another transaction is in the way, or it takes too long, the worker's sweep does it."""
        parents: list[tuple[str, int]] = []
        try:
            with translated():
                plain = ready.plain
                if len(plain) and await rows.are_waited_for(conn):
                    parents = [(plain.entity.value, key) for key in plain.keys]
                await self._wake(conn, written.applied, parents)
        except (TransactionConflict, TransactionTimedOut) as error:
            self._watch.retried(error)


def _lines_of(plain: PlainRows, keys: set[int]) -> set[int]:
    """The plain lines that have one of these keys."""
    if not keys:
        return set()
    return {line for line, key in zip(plain.lines, plain.keys, strict=True) if key in keys}


def _contested(plain: PlainRows, others: Sequence[RowMessage], keys: Sequence[int]) -> set[int]:
    """The plain lines that the engine must judge beside another row of the chunk: of two rows with one key the first counts."""
    if plain.entity is not Entity.EVENT:
        return _lines_of(plain, set(keys))
    ids = {each.message.id_bytes for each in others}
    return {line for line, event_id in zip(plain.lines, plain.ids, strict=True) if event_id in ids}


def _line(message: RowMessage) -> int:
    return message.message.origin.line or 0
