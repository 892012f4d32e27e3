"""The steps of a batch, handed to the consumer loop by the composition root, so that a test can wrap each of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from psycopg import AsyncConnection

from tillstream.kafka.fence import Fence, Move
from tillstream.kafka.records import Place, Record

NOTHING_STOPPED: Mapping[Place, str] = MappingProxyType({})


async def nothing_more(_conn: AsyncConnection) -> None:
    """For handlers that have nothing to do after the commit, or in between."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a handler says of the batch that it wrote. None of it counts before the commit is known to have happened.

    `committed` is then called once, with the connection and outside any transaction. `stop` names places that must not
    go on after this batch, each with the reason; they stay stopped until an operator resumes them (`Operator.resume`),
    which the loop sees with its next measure.
    """

    committed: Callable[[AsyncConnection], Awaitable[None]] = nothing_more
    stop: Mapping[Place, str] = field(default=NOTHING_STOPPED)


Read = Callable[[Sequence[Record]], Sequence[Any]]
Handle = Callable[[AsyncConnection, Sequence[Any]], Awaitable[BatchResult]]
Advance = Callable[[AsyncConnection, Mapping[Place, Move]], Awaitable[set[Place]]]
Commit = Callable[[AsyncConnection], Awaitable[None]]
Idle = Callable[[AsyncConnection], Awaitable[None]]


def fence_advance() -> Advance:
    """The step as a process has it; a test may wrap it."""
    return Fence().advance


def as_they_are(records: Sequence[Record]) -> Sequence[Record]:
    """For handlers that take the records themselves."""
    return records


async def commit(conn: AsyncConnection) -> None:
    """End the transaction of a batch. Any error that leaves the connection closed leaves the outcome open."""
    done = await conn.execute("COMMIT")
    if done.statusmessage != "COMMIT":
        raise RuntimeError(f"The transaction was not committed; PostgreSQL answered {done.statusmessage}.")


@dataclass(frozen=True, slots=True)
class Steps:
    """`read` makes an item of each record, while the batch before is being written; it must be a pure function of them.

    `handle` writes these items inside an open transaction and raises psycopg's errors as they are; `advance` moves the
    fence as its last statement; `commit` ends it. `idle` runs about once a second between batches, without a transaction."""

    handle: Handle
    read: Read = as_they_are
    advance: Advance = field(default_factory=fence_advance)
    commit: Commit = commit
    idle: Idle = nothing_more
