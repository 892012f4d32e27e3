"""The rows of `file_jobs`: queue, take, advance, finish. See `jobs.sql`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row, scalar_row
from psycopg.types.json import Jsonb

from etl_worker.file_loader.dialects import Dialect
from tillstream.contracts.entities import APPLY_ORDER, FILES_TOPIC, Entity
from tillstream.contracts.files import FileJob
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.csv.encoding import Encoding
from tillstream.csv.header import Header
from tillstream.csv.rejects import FirstAttempt, Reject
from tillstream.csv.row_messages import Known
from tillstream.db.queries import load
from tillstream.errors import OwnershipLost
from tillstream.folders import stored_name
from tillstream.kafka.fence import Fence, Session

REJECTS_PAGE = 500
_KINDS = [entity.value for entity in APPLY_ORDER]
# Rows of the child wait for rows of the parent, straight or by way of another kind; in a file an order has no items.
_DEPENDENCIES = [
    (Entity.ORDER, Entity.USER),
    (Entity.ORDER_ITEM, Entity.USER),
    (Entity.ORDER_ITEM, Entity.PRODUCT),
    (Entity.ORDER_ITEM, Entity.ORDER),
    (Entity.EVENT, Entity.USER),
    (Entity.EVENT, Entity.PRODUCT),
]


@dataclass(frozen=True, slots=True)
class Job:
    """One job as this process took it. `next_byte` is 0 until the file was identified."""

    job_id: UUID
    file_name: str
    source: str
    kind: str | None
    status: str
    sha256: str | None
    bytes: int
    as_of: datetime | None
    claimed_at: datetime
    lease_epoch: int
    next_byte: int
    next_line: int
    dialect: dict[str, Any] | None
    rows: int
    rejected: int
    declared_encoding: str | None = None

    @property
    def stored_name(self) -> str:
        return stored_name(self.job_id, self.file_name)

    @property
    def declared(self) -> Encoding | None:
        """What was said of this one file."""
        return Encoding(self.declared_encoding) if self.declared_encoding is not None else None


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file is, as its hash and its header say. `text_bytes` is what a packed one holds; places count in those."""

    header: Header
    sha256: str
    bytes: int
    text_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A chunk's place in the file, and what became of its rows."""

    from_byte: int
    next_byte: int
    next_line: int
    outcomes: Mapping[OutcomeKind, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ends. `lines` counts those of an archived text; of a CSV they were counted chunk by chunk."""

    status: str
    seconds: float
    error: str | None = None
    duplicate_of: UUID | None = None
    sha256: str | None = None
    bytes: int | None = None
    lines: int = 0


class UnderWay(NamedTuple):
    """Jobs of one state, and how long ago the first of them was claimed."""

    jobs: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Statement:
    """What a job came to; rows = loaded + unchanged + superseded + duplicate + parked + rejected."""

    status: str
    rows: int
    loaded: int
    unchanged: int
    superseded: int
    duplicate: int
    parked: int
    rejected: int
    elapsed_seconds: float

    @property
    def adds_up(self) -> bool:
        sides = (self.loaded, self.unchanged, self.superseded, self.duplicate, self.parked, self.rejected)
        return self.rows == sum(sides)


@dataclass(frozen=True, slots=True)
class Stream:
    """The shop's topics: records that wait, and how many were handled since the beginning."""

    lag: int
    position: int


class Jobs:
    """The statements, loaded once. Stateless; raises psycopg's errors as they are.

    Whatever writes raises OwnershipLost where the job belongs to somebody else by now.
    """

    def __init__(self) -> None:
        self._sql: dict[str, LiteralString] = load("etl_worker.file_loader", "jobs.sql")
        self._fence = Fence()

    async def queue(self, conn: AsyncConnection, job: FileJob, kind: Entity | None) -> None:
        """May be repeated: the first time counts."""
        await conn.execute(
            self._sql["queue"],
            {
                "job_id": job.job_id,
                "file_name": job.file_name,
                "source": job.source,
                "kind": kind and kind.value,
                "bytes": job.bytes,
                "as_of": job.as_of,
                "claimed_at": job.claimed_at,
                "declared_encoding": job.encoding and job.encoding.value,
            },
        )

    async def refuse(self, conn: AsyncConnection, job: FileJob) -> None:
        """Of a file that was refused unopened: over at once. May be repeated: the first time counts."""
        await conn.execute(
            self._sql["refuse"],
            {
                "job_id": job.job_id,
                "file_name": job.file_name,
                "source": job.source,
                "bytes": job.bytes,
                "claimed_at": job.claimed_at,
                "error": job.refusal,
            },
        )

    async def keep_unreadable(self, conn: AsyncConnection, row: Mapping[str, object]) -> None:
        await conn.execute(self._sql["keep_unreadable"], row)

    async def running(self, conn: AsyncConnection) -> dict[UUID, int]:
        """The running jobs, each with the epoch of its lease."""
        cursor = await conn.execute(self._sql["running"])
        return dict(await cursor.fetchall())

    async def take(
        self, conn: AsyncConnection, settle: timedelta, inherited: Mapping[UUID, int]
    ) -> Job | None:
        """The next job, which now belongs to this connection; None where there is none to run.

        `inherited` are leases, as `running` gave them: their owners may be alive, and lose their jobs. The session of a former
        owner is ended first, with its locks and whatever it had not committed. Needs a connection outside a transaction.
        Raises OwnershipLost where another process was quicker.
        """
        found = await conn.execute(
            self._sql["candidate"],
            {
                "settle": settle,
                "inherited": list(inherited),
                "inherited_epochs": list(inherited.values()),
                "kinds": _KINDS,
                "children": [child.value for child, _ in _DEPENDENCIES],
                "parents": [parent.value for _, parent in _DEPENDENCIES],
            },
        )
        row = await found.fetchone()
        if row is None:
            return None
        job_id, lease_epoch, former_pid, former_began = row
        if former_pid is not None:
            await self._fence.end_sessions(conn, [Session(former_pid, former_began)])
        mine = await self._fence.session(conn)
        async with conn.cursor(row_factory=class_row(Job)) as cursor:
            await cursor.execute(
                self._sql["take"], {"job_id": job_id, "lease_epoch": lease_epoch, **mine._asdict()}
            )
            job = await cursor.fetchone()
        if job is None:
            raise OwnershipLost(f"File job {job_id} was taken by another process.")
        return job

    async def identify(self, conn: AsyncConnection, job: Job, identity: Identity, seconds: float) -> None:
        header = identity.header
        cursor = await conn.execute(
            self._sql["identify"],
            {
                "job_id": job.job_id,
                "lease_epoch": job.lease_epoch,
                "kind": header.entity.value,
                "sha256": identity.sha256,
                "bytes": identity.bytes,
                "dialect": Jsonb(_dialect(identity)),
                "from_byte": job.next_byte,
                "next_byte": header.next_byte,
                "next_line": header.next_line,
                "seconds": seconds,
            },
        )
        _check_owned(cursor.rowcount, job)

    async def keys_taken(
        self, conn: AsyncConnection, job_id: UUID, entity: Entity, keys: Collection[int]
    ) -> set[int]:
        cursor = await conn.cursor(row_factory=scalar_row).execute(
            self._sql["keys_taken"], {"job_id": job_id, "entity": entity.value, "keys": list(keys)}
        )
        return set(await cursor.fetchall())

    async def first_attempts(
        self, conn: AsyncConnection, message_ids: Collection[UUID]
    ) -> dict[FirstAttempt, Known]:
        cursor = await conn.execute(self._sql["first_attempts"], {"message_ids": list(message_ids)})
        return {
            FirstAttempt(message_id, version): Known(entity, source)
            for message_id, version, entity, source in await cursor.fetchall()
        }

    async def refused_in(
        self, conn: AsyncConnection, job_id: UUID, attempts: Collection[FirstAttempt]
    ) -> list[UUID]:
        """The other jobs whose rejects these are. Asked before they are applied: what is refused again moves to its new job."""
        ordered = list(attempts)
        cursor = await conn.cursor(row_factory=scalar_row).execute(
            self._sql["refused_in"],
            {
                "job_id": job_id,
                "message_ids": [attempt.message_id for attempt in ordered],
                "versions": [attempt.version for attempt in ordered],
            },
        )
        return await cursor.fetchall()

    async def link(self, conn: AsyncConnection, job_id: UUID, corrects: Collection[UUID]) -> None:
        """Remember whose rejects a job brought again. May be repeated."""
        await conn.execute(self._sql["link"], {"job_id": job_id, "corrects": list(corrects)})

    async def adopt(
        self, conn: AsyncConnection, job_id: UUID, refused: Collection[tuple[UUID, bytes, int]]
    ) -> None:
        """`refused` are message id, content hash and line of corrections that were refused again."""
        ids, hashes, lines = zip(*refused, strict=True)
        await conn.execute(
            self._sql["adopt"],
            {"job_id": job_id, "message_ids": list(ids), "hashes": list(hashes), "lines": list(lines)},
        )

    async def close(self, conn: AsyncConnection, attempts: Collection[FirstAttempt]) -> None:
        """Settle the entries of these first attempts."""
        ordered = sorted(attempts, key=lambda attempt: attempt.message_id)
        await conn.execute(
            self._sql["close"],
            {
                "message_ids": [attempt.message_id for attempt in ordered],
                "versions": [attempt.version for attempt in ordered],
            },
        )

    async def advance(self, conn: AsyncConnection, job: Job, step: Step) -> None:
        """The last statement of a chunk's transaction."""
        counts = {kind.value: step.outcomes.get(kind, 0) for kind in OutcomeKind}
        cursor = await conn.execute(
            self._sql["advance"],
            {
                "job_id": job.job_id,
                "lease_epoch": job.lease_epoch,
                "from_byte": step.from_byte,
                "next_byte": step.next_byte,
                "next_line": step.next_line,
                "rows": sum(counts.values()),
                "seconds": step.seconds,
                **counts,
            },
        )
        _check_owned(cursor.rowcount, job)

    async def duplicate_of(self, conn: AsyncConnection, job: Job, header: Header, sha256: str) -> UUID | None:
        """The job whose file this one repeats: the newest of its source and kind, if it took in the very same bytes whole, read
        them as the same text (they may come again because they were declared wrongly), and for no earlier moment."""
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                self._sql["newest_like_this"],
                {"source": job.source, "kind": header.entity.value, "job_id": job.job_id},
            )
            newest = await cursor.fetchone()
        if newest is None or newest["status"] != "loaded" or newest["sha256"] != sha256:
            return None
        is_of_earlier = job.as_of is not None and newest["stated"] < job.as_of
        if newest["encoding"] not in {None, header.encoding.value} or is_of_earlier:
            return None
        is_whole = newest["is_settled"] and newest["rejected"] == 0
        return newest["job_id"] if is_whole else None

    async def finish(self, conn: AsyncConnection, job: Job, ending: Ending) -> Statement:
        async with conn.cursor(row_factory=class_row(Statement)) as cursor:
            await cursor.execute(
                self._sql["finish"],
                {
                    "job_id": job.job_id,
                    "lease_epoch": job.lease_epoch,
                    "status": ending.status,
                    "seconds": ending.seconds,
                    "error": ending.error,
                    "duplicate_of": ending.duplicate_of,
                    "sha256": ending.sha256,
                    "bytes": ending.bytes,
                    "lines": ending.lines,
                },
            )
            _check_owned(cursor.rowcount, job)
            statement = await cursor.fetchone()
        assert statement is not None, "one row was updated"
        assert statement.adds_up, f"the statement of {job.job_id} does not add up: {statement}"
        return statement

    async def rejects(
        self, conn: AsyncConnection, job_id: UUID, after: tuple[int, int], *, only_open: bool
    ) -> list[tuple[int, Reject]]:
        """A page of the job's refused rows, each with its id in quarantine; the next page begins after (line, id)."""
        cursor = await conn.execute(
            self._sql["rejects"],
            {
                "job_id": job_id,
                "after_line": after[0],
                "after_id": after[1],
                "only_open": only_open,
                "limit": REJECTS_PAGE,
            },
        )
        return [(row[0], Reject(*row[1:])) for row in await cursor.fetchall()]

    async def stream(self, conn: AsyncConnection) -> Stream:
        """How the shop's topics stand, as far as anybody knows."""
        async with conn.cursor(row_factory=class_row(Stream)) as cursor:
            await cursor.execute(self._sql["stream"], {"files_topic": FILES_TOPIC})
            found = await cursor.fetchone()
        assert found is not None, "sums are always there"
        return found

    async def states(self, conn: AsyncConnection) -> dict[str, UnderWay]:
        """Which jobs are queued and running; a state without any is left out."""
        cursor = await conn.execute(self._sql["states"])
        return {state: UnderWay(count, float(age)) for state, count, age in await cursor.fetchall()}


def _dialect(identity: Identity) -> dict[str, Any]:
    packing = {} if identity.text_bytes is None else {"packing": "gzip", "text_bytes": identity.text_bytes}
    return {**Dialect.of(identity.header).stored(), **packing}


def _check_owned(rowcount: int, job: Job) -> None:
    if rowcount != 1:
        raise OwnershipLost(
            f"File job {job.job_id} is not this process's any more (epoch {job.lease_epoch})."
        )
