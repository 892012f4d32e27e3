"""Planted bugs of a file-loader, each to be found by the check of the end state. Each takes good ports and gives bad ones."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import BinaryIO, LiteralString, override
from uuid import UUID

from psycopg import AsyncConnection

from etl_worker.file_loader.app import Ports
from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.jobs import Ending, Job, Jobs, Statement
from etl_worker.file_loader.over_jobs import Ended, OverJobs
from etl_worker.file_loader.rejects_files import RejectsOf, write_rejects
from etl_worker.file_loader.settings import LoaderSettings
from tillstream.apply.applied import Applied
from tillstream.apply.file_rows import FileRows
from tillstream.contracts.entities import Entity
from tillstream.contracts.files import FileJob
from tillstream.contracts.messages import Message
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.csv.rejects import Reject
from tillstream.folders import REJECTS_SUFFIX, Folders
from tillstream.settings import load_settings

type Plant = Callable[[Ports], Ports]

ROWS_APART = "rows before their place"
STORED_APART = "plain rows before their place"
PLACE_FIRST = "the place before its rows"
KEYS_IN_MEMORY = "the keys of a file are known to one process"
LINES_ANEW = "a file that goes on counts its lines from the top"
STARTS_OVER = "a file that goes on begins again"
LEFT_ALONE = "nobody takes a job over"
QUEUED_LATE = "the offset before the job"
REJECTS_LAST = "the statement before the rejects file"
REJECTS_IN_PLACE = "the rejects file is written in its place"
REJECTS_UNMARKED = "a rejects file that looks like another's work"
MOVES_FIRST = "the move before the statement"
LEFT_LYING = "nobody puts a file away later on"
_TAKEN_OVER: LiteralString = "OR j.status = 'running' AND ("
_NEVER: LiteralString = "OR j.status = 'running' AND FALSE AND ("
_FROM_THE_TOP: LiteralString = """
UPDATE shop.file_jobs SET next_byte = 0, next_line = 1, rows = 0, loaded = 0, unchanged = 0, superseded = 0, duplicate = 0, rejected = 0
WHERE job_id = %(job_id)s
"""


async def _commit(conn: AsyncConnection) -> None:
    await conn.execute("COMMIT")
    await conn.execute("BEGIN")


def commits_rows_apart(ports: Ports) -> Ports:
    """The rows of a chunk are committed before the job says that it has them."""

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        applied = await ports.apply(conn, messages)
        await _commit(conn)
        return applied

    return replace(ports, apply=apply)


class StoredApart(FileRows):
    @override
    async def store(self, conn: AsyncConnection, left_out: Collection[int]) -> Counter[OutcomeKind]:
        stored = await super().store(conn, left_out)
        await _commit(conn)
        return stored


def commits_place_first(ports: Ports) -> Ports:
    """The job says that it has the rows of a chunk, and only then they are written."""
    late = list[Message]()

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        await conn.execute("SAVEPOINT planted")
        applied = await ports.apply(conn, messages)
        await conn.execute("ROLLBACK TO SAVEPOINT planted")
        late[:] = messages
        return applied

    async def wake(
        conn: AsyncConnection, applied: Sequence[Applied], parents: Sequence[tuple[str, int]]
    ) -> Sequence[Applied]:
        await conn.execute("BEGIN")
        await ports.apply(conn, late)
        await conn.execute("COMMIT")
        return await ports.wake(conn, applied, parents)

    return replace(ports, apply=apply, wake=wake)


class InMemory(Jobs):
    """Of a job that another process began, nobody knows the keys."""

    def __init__(self) -> None:
        super().__init__()
        self._begun: set[UUID] = set()

    @override
    async def take(
        self, conn: AsyncConnection, settle: timedelta, inherited: Mapping[UUID, int]
    ) -> Job | None:
        job = await super().take(conn, settle, inherited)
        if job is not None and not job.rows:
            self._begun.add(job.job_id)
        return job

    @override
    async def keys_taken(
        self, conn: AsyncConnection, job_id: UUID, entity: Entity, keys: Collection[int]
    ) -> set[int]:
        return await super().keys_taken(conn, job_id, entity, keys) if job_id in self._begun else set()


class Recounting(Jobs):
    @override
    async def take(
        self, conn: AsyncConnection, settle: timedelta, inherited: Mapping[UUID, int]
    ) -> Job | None:
        job = await super().take(conn, settle, inherited)
        return job and replace(job, next_line=min(job.next_line, 2))


class Restarting(Jobs):
    @override
    async def take(
        self, conn: AsyncConnection, settle: timedelta, inherited: Mapping[UUID, int]
    ) -> Job | None:
        job = await super().take(conn, settle, inherited)
        if job is None or not job.rows:
            return job
        await conn.execute(_FROM_THE_TOP, {"job_id": job.job_id})
        return replace(job, next_byte=0, next_line=1, rows=0, rejected=0)


class Heartless(Jobs):
    """A job whose owner is gone is nobody's."""

    def __init__(self) -> None:
        super().__init__()
        assert _TAKEN_OVER in self._sql["candidate"]
        self._sql = {**self._sql, "candidate": self._sql["candidate"].replace(_TAKEN_OVER, _NEVER)}


class Deferring(Jobs):
    """What is queued is committed with nothing; it is written when a job is looked for once more."""

    def __init__(self) -> None:
        super().__init__()
        self._late = list[tuple[FileJob, Entity | None]]()
        self._looks = 0

    @override
    async def queue(self, conn: AsyncConnection, job: FileJob, kind: Entity | None) -> None:
        self._late.append((job, kind))
        self._looks = 0

    @override
    async def take(
        self, conn: AsyncConnection, settle: timedelta, inherited: Mapping[UUID, int]
    ) -> Job | None:
        self._looks += 1
        while self._late and self._looks > 1:
            await super().queue(conn, *self._late.pop())
        return await super().take(conn, settle, inherited)


class Forward(Jobs):
    """Tells how a job ended, then writes what was refused."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._is_over = False

    @override
    async def rejects(
        self, conn: AsyncConnection, job_id: UUID, after: tuple[int, int], *, only_open: bool
    ) -> list[tuple[int, Reject]]:
        return await super().rejects(conn, job_id, after, only_open=only_open) if self._is_over else []

    @override
    async def finish(self, conn: AsyncConnection, job: Job, ending: Ending) -> Statement:
        statement = await super().finish(conn, job, ending)
        self._is_over = True
        await write_rejects(conn, self, self._desk, RejectsOf.job(job, None), pulse=lambda: None)
        self._is_over = False
        return statement


class Hasty(Jobs):
    """Puts the file away before its statement is committed."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    @override
    async def finish(self, conn: AsyncConnection, job: Job, ending: Ending) -> Statement:
        self._desk.put_away(job.job_id, job.file_name, failed=ending.status == "failed")
        return await super().finish(conn, job, ending)


class InPlace(Desk):
    """What is half written has its name already."""

    @override
    @contextmanager
    def rejects_file(self, name: str, mark: datetime) -> Iterator[BinaryIO]:
        with (_folders().invalid / f"{name}{REJECTS_SUFFIX}").open("wb") as file:
            yield file


class Unmarked(Desk):
    @override
    @contextmanager
    def rejects_file(self, name: str, mark: datetime) -> Iterator[BinaryIO]:
        with super().rejects_file(name, datetime.now(mark.tzinfo)) as file:
            yield file


class Forgetful(OverJobs):
    @override
    async def ended(self, conn: AsyncConnection, job_ids: Collection[UUID]) -> list[Ended]:
        return []


def _folders() -> Folders:
    return Folders(load_settings(LoaderSettings).data_dir)


def _with(jobs: Callable[[], Jobs]) -> Plant:
    return lambda ports: replace(ports, jobs=jobs())


PLANTS: Mapping[str, Plant] = {
    ROWS_APART: commits_rows_apart,
    STORED_APART: lambda ports: replace(ports, rows=StoredApart),
    PLACE_FIRST: commits_place_first,
    KEYS_IN_MEMORY: _with(InMemory),
    LINES_ANEW: _with(Recounting),
    STARTS_OVER: _with(Restarting),
    LEFT_ALONE: _with(Heartless),
    QUEUED_LATE: _with(Deferring),
    REJECTS_LAST: lambda ports: replace(ports, jobs=Forward(ports.desk)),
    REJECTS_IN_PLACE: lambda ports: replace(ports, desk=InPlace(_folders())),
    REJECTS_UNMARKED: lambda ports: replace(ports, desk=Unmarked(_folders())),
    MOVES_FIRST: lambda ports: replace(ports, jobs=Hasty(ports.desk)),
    LEFT_LYING: lambda ports: replace(ports, over=Forgetful()),
}
