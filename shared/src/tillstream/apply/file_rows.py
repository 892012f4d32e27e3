"""Plain rows of a file into the tables, a chunk at a time and set-wise: what `Engine.apply` does with their messages, many times as fast.

Only rows that nothing speaks against are stored here. All others, and every row of a chunk that PostgreSQL refuses a row of, are
the engine's: it judges row by row, and the outcomes are the same.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import chain, repeat
from struct import Struct, pack
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection

from tillstream.apply.plain_rows import EPOCH_US, NULL, SIGNATURE, TRAILER
from tillstream.apply.statements import FILE_PARENTS, FILE_ROWS
from tillstream.contracts.csv_rows import JobFacts
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import microseconds
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.plain_rows import PlainRows
from tillstream.db.failures import is_about_a_record
from tillstream.errors import LongWay, TillstreamError, TransactionConflict

ROWS_IN_A_PIECE = 2_000
FORGET_AFTER = 20  # chunks: some seconds of a large file
MOST_KNOWN = 200_000

# Binary COPY: the number of fields, then each field after its length. Fields of one length stand in front of the others.
_ORDER = Struct(">6sq4s16s4sq4sqqq16s4s16s4sq4sq12sHHHHi")
_EVENT = Struct(">6sq4s16s4sq4sq")
_ORDER_FIELDS, _EVENT_FIELDS = 9, 6
_EIGHT, _SIXTEEN, _FORTY = pack(">i", 8), pack(">i", 16), pack(">i", 40)
# A numeric of four digits of base 10,000, the first one times 10,000 squared, and two places; PostgreSQL drops leading zeros.
_AMOUNT = pack(">iHhHH", 16, 4, 2, 0, 2)
_PLACE = 10_000


class Parents:
    """Users or products that are there, asked for once and remembered for some chunks: a file names the same ones again and again."""

    def __init__(self, statement: LiteralString) -> None:
        self._statement = statement
        self._known: set[int] = set()
        self._asked = 0

    async def missing(self, conn: AsyncConnection, ids: Iterable[int]) -> set[int]:
        """Those of `ids` that are not there. What is missing is asked for again, and what was deleted is noticed after some chunks."""
        self._asked += 1
        if self._asked % FORGET_AFTER == 0 or len(self._known) > MOST_KNOWN:
            self._known.clear()
        new = set(ids) - self._known
        if not new:
            return set()
        cursor = await conn.execute(self._statement, {"ids": sorted(new)})
        missing = {each for (each,) in await cursor.fetchall()}
        self._known |= new - missing
        return missing


class FileRows:
    """Writes the plain rows of one file, chunk by chunk, on any number of attempts."""

    def __init__(self, entity: Entity, job: JobFacts) -> None:
        self._entity = entity
        self._job = job
        self._sql = FILE_ROWS.get(entity, {})  # files of other entities have no plain rows
        self._users = Parents(FILE_PARENTS["users"])
        self._products = Parents(FILE_PARENTS["products"])
        # Hardly any file has events that are stored already. One that has is looked at from its first such event on.
        self._looks_at_ids = False

    async def stage(self, conn: AsyncConnection, rows: PlainRows, pieces: Iterable[bytes]) -> set[int]:
        """The lines of those that the engine must judge. `pieces` are what `binary_rows` made of the rows.

        Must be the first thing in the caller's transaction: a client that is stopped in the middle of a COPY must hold no lock.
        """
        await conn.execute(self._sql["create"])
        async with conn.cursor() as cursor, cursor.copy(self._sql["copy"]) as copy:
            for piece in pieces:
                await copy.write(piece)
        return await self._orphans(conn, rows) | await self._known(conn)

    async def store(self, conn: AsyncConnection, left_out: Collection[int]) -> Counter[OutcomeKind]:
        """What became of the staged rows but for those on the lines `left_out`; written, not committed.

        Raises TransactionConflict where an id was stored before or by another session just now: the next attempt knows it. Raises
        LongWay where PostgreSQL refuses a row for anything else; else psycopg's errors as they are.
        """
        try:
            cursor = await conn.execute(self._sql["store"], self._values(left_out))
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if not is_about_a_record(error):
                raise
            raise self._refusal(error) from error
        return Counter({OutcomeKind(outcome): count for outcome, count in await cursor.fetchall() if count})

    async def are_waited_for(self, conn: AsyncConnection) -> bool:
        """Whether anything is parked until a row of this entity comes."""
        cursor = await conn.execute(self._sql["waited_for"])
        return await cursor.fetchone() == (True,)

    def _values(self, left_out: Collection[int]) -> dict[str, Any]:
        return {
            "left_out": sorted(left_out),
            "source": self._job.source,
            "job_id": self._job.job_id,
            "accepted_at": self._job.claimed_at,
        }

    def _refusal(self, error: psycopg.Error) -> TillstreamError:
        is_known_event = isinstance(error, psycopg.errors.UniqueViolation) and self._entity is Entity.EVENT
        if is_known_event and not self._looks_at_ids:
            self._looks_at_ids = True
            return TransactionConflict("an event of the file is stored already")
        return LongWay(str(error))

    async def _orphans(self, conn: AsyncConnection, rows: PlainRows) -> set[int]:
        users = await self._users.missing(conn, rows.users)
        orphans = (
            {line for line, user in zip(rows.lines, rows.users, strict=True) if user in users}
            if users
            else set()
        )
        wanted = {product for product in rows.products if product is not None}
        products = await self._products.missing(conn, wanted) if wanted else set()
        if products:
            orphans |= {
                line for line, product in zip(rows.lines, rows.products, strict=True) if product in products
            }
        return orphans

    async def _known(self, conn: AsyncConnection) -> set[int]:
        """The lines of events whose id is known. Ids of orders are made of this job: nobody else has them."""
        if self._entity is not Entity.EVENT:
            return set()
        if not self._looks_at_ids:
            cursor = await conn.execute(self._sql["anything_waits"])
            if await cursor.fetchone() == (False,):
                return set()
        cursor = await conn.execute(self._sql["known"])
        return {line for (line,) in await cursor.fetchall()}


def binary_rows(rows: PlainRows, job: JobFacts) -> list[bytes]:
    """A whole COPY, in pieces. Takes microseconds a row, on any thread."""
    made = list(_orders(rows, job) if rows.entity is Entity.ORDER else _events(rows))
    steps = range(0, len(made), ROWS_IN_A_PIECE)
    return [SIGNATURE, *(b"".join(made[at : at + ROWS_IN_A_PIECE]) for at in steps), TRAILER]


def _orders(rows: PlainRows, job: JobFacts) -> Iterable[bytes]:
    accepted = microseconds(job.claimed_at)
    stated = microseconds(job.as_of or job.claimed_at)
    wholes = [cents // 100 for cents in rows.cents]
    texts = {kind: kind.encode() for kind in set(rows.kinds)}
    kinds = list(map(texts.__getitem__, rows.kinds))
    fixed = map(
        _ORDER.pack,
        repeat(pack(">hi", _ORDER_FIELDS, 8)),
        rows.lines,
        repeat(_SIXTEEN),
        rows.ids,
        repeat(_EIGHT),
        rows.keys,
        repeat(_FORTY),
        [stated if each is None else each for each in rows.updated],
        repeat(accepted),
        rows.lines,
        rows.ids,
        repeat(_SIXTEEN),
        rows.hashes,
        repeat(_EIGHT),
        rows.users,
        repeat(_EIGHT),
        [each - EPOCH_US for each in rows.happened],
        repeat(_AMOUNT),
        [whole // _PLACE**2 for whole in wholes],
        [whole // _PLACE % _PLACE for whole in wholes],
        [whole % _PLACE for whole in wholes],
        [cents % 100 * 100 for cents in rows.cents],
        map(len, kinds),
    )
    return chain.from_iterable(zip(fixed, kinds, strict=True))


def _events(rows: PlainRows) -> Iterable[bytes]:
    kinds = {kind: pack(">i", len(kind)) + kind.encode() for kind in set(rows.kinds)}
    fixed = map(
        _EVENT.pack,
        repeat(pack(">hi", _EVENT_FIELDS, 8)),
        rows.lines,
        repeat(_SIXTEEN),
        rows.ids,
        repeat(_EIGHT),
        rows.users,
        repeat(_EIGHT),
        [each - EPOCH_US for each in rows.happened],
    )
    products = [NULL if each is None else pack(">iq", 8, each) for each in rows.products]
    return chain.from_iterable(zip(fixed, products, map(kinds.__getitem__, rows.kinds), strict=True))
