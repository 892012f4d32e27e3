"""Loads one file: hash, header, chunks, rejects file, statement, and away with it. Every step may be repeated."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from psycopg import AsyncConnection

from etl_worker.file_loader.claimed_file import ClaimedFile
from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.failures import disk_translated
from etl_worker.file_loader.jobs import Dialect, Ending, Identity, Job, Jobs, Statement, Step
from etl_worker.file_loader.progress import ProgressLog
from etl_worker.file_loader.transaction import transaction
from etl_worker.file_loader.watch import LoadWatch
from tillstream.apply.engine import Applied
from tillstream.clock import Clock
from tillstream.contracts.messages import Message
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.csv.dropped import is_kept_text
from tillstream.csv.encoding import Encoding, Found
from tillstream.csv.header import Header
from tillstream.csv.rejects import FirstAttempt, render
from tillstream.csv.row_messages import RowMessage, RowMessages, keys_of, refuse_repeated_keys
from tillstream.csv.rows import Chunk, Row, RowReader
from tillstream.csv.survey import Survey
from tillstream.db.failures import translated
from tillstream.errors import FileRefused, TransactionConflict, TransactionTimedOut
from tillstream.kafka.batch_size import BatchSize
from tillstream.kafka.steps import Commit, commit

Apply = Callable[[AsyncConnection, Sequence[Message]], Awaitable[list[Applied]]]
Wake = Callable[[AsyncConnection, Sequence[Applied]], Awaitable[list[Applied]]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoadPolicy:
    """`pause_at_lag`: records that wait in the stream before a file makes way, for `pause_limit_s` per chunk at most.

    `encoding` is that of files that are no UTF-8 and do not say what else they are; without it their rows are refused.
    """

    chunk_rows: int = 5_000
    chunk_bytes: int = 4 * 1024 * 1024
    conflict_attempts: int = 5
    conflict_wait_s: float = 0.02
    pause_at_lag: int = 5_000
    pause_s: float = 0.25
    pause_limit_s: float = 5.0
    encoding: Encoding | None = None


class Lap:
    """Seconds since the lap that was last committed: what is rolled back counts towards the next attempt."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = self._until = clock.monotonic()

    def __call__(self) -> float:
        self._until = self._clock.monotonic()
        return self._until - self._since

    def committed(self) -> None:
        """The seconds that were last told are on record."""
        self._since = self._until


@dataclass(slots=True)
class _Run:
    """One job on its way. `from_byte` is where PostgreSQL has it."""

    conn: AsyncConnection
    job: Job
    lap: Lap
    from_byte: int
    dialect: Dialect | None = None
    kind: str | None = None


class LoadFile:
    """Called with a connection outside a transaction and a job that belongs to it; returns the job's statement.

    Raises OwnershipLost when another process takes the job over, Retryable when something is away; the job can then be
    taken again and goes on after its last committed chunk. What is wrong with the file itself ends the job as failed.
    """

    def __init__(
        self,
        jobs: Jobs,
        desk: Desk,
        apply: Apply,
        wake: Wake,
        clock: Clock,
        watch: LoadWatch,
        shop_timezone: ZoneInfo,
        *,
        policy: LoadPolicy = LoadPolicy(),
        commit: Commit = commit,
    ) -> None:
        self._jobs = jobs
        self._desk = desk
        self._apply = apply
        self._wake = wake
        self._clock = clock
        self._watch = watch
        self._shop_timezone = shop_timezone
        self._policy = policy
        self._commit = commit
        self._chunk_size = BatchSize(policy.chunk_rows)

    async def __call__(self, conn: AsyncConnection, job: Job) -> Statement:
        run = _Run(conn, job, Lap(self._clock), job.next_byte, Dialect.from_stored(job.dialect), job.kind)
        try:
            with self._desk.open(job.stored_name) as file:
                ending = await self._load(run, file)
        except FileRefused as error:
            ending = Ending("failed", run.lap(), error=str(error))
        return await self._end(run, ending)

    async def _load(self, run: _Run, file: ClaimedFile) -> Ending:
        job = run.job
        sha256, survey = await file.survey(self._watch.pulse, as_it_is=is_kept_text(job.file_name))
        if job.sha256 is not None and job.sha256 != sha256:
            raise FileRefused("file_changed: the file was changed after its first chunk was loaded")
        header = self._desk.header(file, job.file_name, partial(self._found, run, survey))
        if header is None:
            lines = await file.count_lines(self._watch.pulse)
            return Ending("archived", run.lap(), sha256=sha256, bytes=file.size, lines=lines)
        await self._identify(run, header, sha256, file, survey)
        if job.rows == 0:
            original = await self._jobs.duplicate_of(run.conn, job, header.entity, sha256)
            if original is not None:
                return Ending("duplicate", run.lap(), duplicate_of=original)
        await self._load_chunks(run, file, header, survey)
        return Ending("loaded", run.lap())

    def _found(self, run: _Run, survey: Survey) -> Found:
        """What the file says. One that was begun is read to its end as it was begun, whatever is declared by now."""
        found = survey.found(self._policy.encoding)
        if run.dialect is None:
            return found
        return replace(found, encoding=run.dialect.encoding, certainty=run.dialect.certainty)

    async def _identify(
        self, run: _Run, header: Header, sha256: str, file: ClaimedFile, survey: Survey
    ) -> None:
        run.dialect, run.kind = Dialect.of(header), header.entity.value
        if run.from_byte:
            return
        text_bytes = survey.bytes if file.is_packed else None
        await self._jobs.identify(
            run.conn, run.job, Identity(header, sha256, file.size, text_bytes), run.lap()
        )
        run.lap.committed()
        run.from_byte = header.next_byte

    async def _load_chunks(self, run: _Run, file: ClaimedFile, header: Header, survey: Survey) -> None:
        next_line = run.job.next_line if run.job.next_byte else header.next_line
        width = len(header.columns)
        await file.wind(run.from_byte, self._watch.pulse)
        reader = RowReader(file.text, header.separator, width, run.from_byte, next_line, header.encoding)
        maker = RowMessages(header, run.job, self._shop_timezone)
        progress = ProgressLog(run.job.job_id, run.from_byte, survey.bytes, self._clock)
        while True:
            with disk_translated():
                chunk = reader.read_chunk(self._chunk_size.records, self._policy.chunk_bytes)
            if chunk.rows:
                messages = await self._messages(run, maker, header, chunk.rows)
                await self._write_chunk(run, file, chunk, messages)
                progress.committed(len(chunk.rows), chunk.next_byte)
            self._watch.pulse()
            if chunk.is_last:
                break
            await self._give_way(run.conn)
        file.check_unchanged()
        survey.check_end(chunk.next_byte, chunk.next_line)

    async def _messages(
        self, run: _Run, maker: RowMessages, header: Header, rows: Sequence[Row]
    ) -> list[RowMessage]:
        attempts = maker.attempts(rows)
        first_ids = {each.message_id for each in attempts.values() if isinstance(each, FirstAttempt)}
        known = await self._jobs.first_attempts(run.conn, first_ids) if first_ids else {}
        messages = maker.messages(rows, attempts, known)
        await asyncio.sleep(0)  # the consumer and the ops port have their turn
        keys = keys_of(messages)
        taken = await self._jobs.keys_taken(run.conn, run.job.job_id, header.entity, keys) if keys else set()
        return refuse_repeated_keys(messages, taken)

    async def _write_chunk(
        self, run: _Run, file: ClaimedFile, chunk: Chunk, messages: Sequence[RowMessage]
    ) -> None:
        """One transaction, again if another one was in its way. Where it took too long, the job's next attempt does less at once."""
        for attempts_left in reversed(range(self._policy.conflict_attempts)):
            began = self._clock.monotonic()
            try:
                with translated():
                    applied = await self._try_chunk(run, file, chunk, messages)
                break
            except TransactionConflict as error:
                if not attempts_left:
                    raise
                self._watch.retried(error)
                await asyncio.sleep(self._policy.conflict_wait_s)
            except TransactionTimedOut:
                self._chunk_size.timed_out(len(messages))
                raise
        self._chunk_size.committed()
        self._watch.loaded(
            run.kind or "", applied, chunk.next_byte - run.from_byte, self._clock.monotonic() - began
        )
        run.lap.committed()
        run.from_byte = chunk.next_byte
        await self._wake_up(run.conn, applied)

    async def _wake_up(self, conn: AsyncConnection, applied: Sequence[Applied]) -> None:
        """What waited for the rows of a chunk; where another transaction is in the way, the worker's sweep does it."""
        try:
            with translated():
                await self._wake(conn, applied)
        except TransactionConflict as error:
            self._watch.retried(error)

    async def _try_chunk(
        self, run: _Run, file: ClaimedFile, chunk: Chunk, messages: Sequence[RowMessage]
    ) -> list[Applied]:
        async with transaction(run.conn, self._commit):
            applied = await self._apply(run.conn, [each.message for each in messages])
            assert len(applied) == len(messages), "every row has one outcome"
            await self._settle_corrections(run, messages, applied)
            file.check_unchanged()
            outcomes = Counter(each.outcome for each in applied)
            step = Step(run.from_byte, chunk.next_byte, chunk.next_line, outcomes, run.lap())
            await self._jobs.advance(run.conn, run.job, step)
        return applied

    async def _settle_corrections(
        self, run: _Run, messages: Sequence[RowMessage], applied: Sequence[Applied]
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

    async def _give_way(self, conn: AsyncConnection) -> None:
        """Wait while the stream lags, but not for ever: a file goes on, if slowly."""
        until = self._clock.monotonic() + self._policy.pause_limit_s
        while await self._jobs.stream_lag(conn) > self._policy.pause_at_lag:
            if self._clock.monotonic() >= until:
                return
            await asyncio.sleep(self._policy.pause_s)

    async def _end(self, run: _Run, ending: Ending) -> Statement:
        """First the rejects file, so that it is there when the statement is; last the move, which nothing follows."""
        await self._write_rejects(run)
        statement = await self._jobs.finish(run.conn, run.job, ending)
        self._desk.put_away(run.job.job_id, run.job.file_name, failed=statement.status == "failed")
        self._watch.ended(run.kind, statement)
        _log.info(
            "A file job is over.",
            job_id=str(run.job.job_id),
            file_name=run.job.file_name,
            kind=run.kind,
            encoding=run.dialect and run.dialect.encoding.value,
            error=ending.error,
            status=statement.status,
            rows=statement.rows,
            rejected=statement.rejected,
            parked=statement.parked,
            elapsed_seconds=float(statement.elapsed_seconds),
        )
        return statement

    async def _write_rejects(self, run: _Run) -> None:
        page = await self._jobs.rejects(run.conn, run.job.job_id, (0, 0))
        if not page:
            return
        header_pieces = 0
        form = run.dialect or Dialect()
        with self._desk.rejects_file(run.job.stored_name) as out:
            while page:
                pieces = list(
                    render(form.columns, form.separator, (reject for _, reject in page), form.encoding)
                )
                out.writelines(pieces[header_pieces:])
                header_pieces = 1  # every page is rendered with a header of its own
                last_id, last = page[-1]
                page = await self._jobs.rejects(run.conn, run.job.job_id, (last.line, last_id))
