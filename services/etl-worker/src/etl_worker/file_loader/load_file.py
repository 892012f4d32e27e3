"""Loads one file: hash, header, chunks, rejects file, statement, and away with it. Every step may be repeated."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from psycopg import AsyncConnection

from etl_worker.file_loader.chunks import ChunkBounds, ChunkReader, read_ahead
from etl_worker.file_loader.claimed_file import ClaimedFile
from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.dialects import Dialect
from etl_worker.file_loader.jobs import Ending, Identity, Job, Jobs, Statement
from etl_worker.file_loader.pace import Pace
from etl_worker.file_loader.progress import ProgressLog
from etl_worker.file_loader.rejects_files import RejectsOf, write_rejects
from etl_worker.file_loader.runs import Lap, LoadPolicy, Run
from etl_worker.file_loader.watch import LoadWatch
from etl_worker.file_loader.write_chunk import KeysSeen, Origin, WriteChunk
from tillstream.apply.file_rows import FileRows
from tillstream.clock import Clock
from tillstream.contracts.entities import Entity
from tillstream.csv.dropped import is_kept_text
from tillstream.csv.encoding import Found
from tillstream.csv.header import Header
from tillstream.csv.row_messages import RowMessages
from tillstream.csv.survey import Survey
from tillstream.errors import FileRefused

MakeFileRows = Callable[[Entity, Job], FileRows]

_log = structlog.get_logger()


class LoadFile:
    """Called with a connection outside a transaction and a job that belongs to it; returns the job's statement.

    Raises OwnershipLost when another process takes the job over, Retryable when something is away; the job can then be
    taken again and goes on after its last committed chunk. What is wrong with the file itself ends the job as failed.
    """

    def __init__(
        self,
        jobs: Jobs,
        desk: Desk,
        write_chunk: WriteChunk,
        rows: MakeFileRows,
        clock: Clock,
        watch: LoadWatch,
        shop_timezone: ZoneInfo,
        policy: LoadPolicy,
    ) -> None:
        self._jobs = jobs
        self._desk = desk
        self._write_chunk = write_chunk
        self._rows = rows
        self._clock = clock
        self._watch = watch
        self._shop_timezone = shop_timezone
        self._policy = policy
        self._pace = Pace(jobs, clock, policy)

    async def __call__(self, conn: AsyncConnection, job: Job) -> Statement:
        run = Run(conn, job, Lap(self._clock), job.next_byte, Dialect.from_stored(job.dialect), job.kind)
        try:
            with self._desk.open(job.stored_name) as file:
                ending = await self._load(run, file)
        except FileRefused as error:
            ending = Ending("failed", run.lap(), error=str(error))
        return await self._end(run, ending)

    async def _load(self, run: Run, file: ClaimedFile) -> Ending:
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
            original = await self._jobs.duplicate_of(run.conn, job, header, sha256)
            if original is not None:
                return Ending("duplicate", run.lap(), duplicate_of=original)
        await self._load_chunks(run, file, header, survey)
        return Ending("loaded", run.lap())

    def _found(self, run: Run, survey: Survey) -> Found:
        """What the file says, else what was said of it, else of all files. One that was begun is read to its end as it was begun."""
        found = survey.found(run.job.declared or self._policy.encoding)
        if run.dialect is None:
            return found
        return replace(found, encoding=run.dialect.encoding, certainty=run.dialect.certainty)

    async def _identify(
        self, run: Run, header: Header, sha256: str, file: ClaimedFile, survey: Survey
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

    async def _load_chunks(self, run: Run, file: ClaimedFile, header: Header, survey: Survey) -> None:
        next_line = run.job.next_line if run.job.next_byte else header.next_line
        await file.wind(run.from_byte, self._watch.pulse)
        reader = ChunkReader(file.text, header, run.job, self._shop_timezone, (run.from_byte, next_line))
        maker = RowMessages(header, run.job, self._shop_timezone)
        keys, rows = KeysSeen(self._jobs, run.job, header.entity), self._rows(header.entity, run.job)
        origin = Origin(file, reader, maker, keys, rows)
        progress = ProgressLog(run.job.job_id, run.from_byte, survey.bytes, self._clock)
        rejected = run.job.rejected
        await self._pace.look(run.conn)
        async with aclosing(read_ahead(reader, self._bounds)) as chunks:
            async for ready in chunks:
                chunk, began = ready.chunk, self._clock.monotonic()
                if len(chunk):
                    rejected += await self._write_chunk(run, origin, ready)
                    self._check_rejected(rejected)
                    progress.committed(len(chunk), chunk.next_byte)
                self._watch.pulse()
                if not chunk.is_last:
                    await self._pace.give_way(run.conn, self._clock.monotonic() - began)
        file.check_unchanged()
        survey.check_end(chunk.next_byte, chunk.next_line)

    def _check_rejected(self, rejected: int) -> None:
        """Each refused row is kept twice, in quarantine and in the rejects file, and a packed megabyte may hold a hundred million."""
        if rejected > self._policy.max_rejects:
            raise FileRefused(
                f"too_many_rejects: {rejected} rows were refused; after more than {self._policy.max_rejects} the rest is not loaded"
            )

    def _bounds(self) -> ChunkBounds:
        """Of the chunk to be read next."""
        return ChunkBounds(self._pace.rows(self._write_chunk.rows), self._policy.chunk_bytes)

    async def _end(self, run: Run, ending: Ending) -> Statement:
        """First the rejects file, so that it is there when the statement is; last the move, which nothing follows."""
        rejects = RejectsOf.job(run.job, run.dialect)
        await write_rejects(run.conn, self._jobs, self._desk, rejects, pulse=self._watch.pulse)
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
