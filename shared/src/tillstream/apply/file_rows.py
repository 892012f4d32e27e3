"""Plain rows of a file into the tables, a chunk at a time and set-wise: what `Engine.apply` does with their messages, many times as fast.

Only rows that nothing speaks against are stored here. All others, and every row of a chunk that PostgreSQL refuses a row of, are
the engine's: it judges row by row, and the outcomes are the same.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import chain, repeat
from struct import Struct, pack

import psycopg
from psycopg import AsyncConnection

from tillstream.apply.plain_rows import EPOCH_US, NULL, SIGNATURE, TRAILER
from tillstream.apply.statements import FILE_ROWS
from tillstream.contracts.csv_rows import JobFacts
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import microseconds
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.plain_rows import PlainRows
from tillstream.db.failures import is_about_a_record
from tillstream.errors import TillstreamError

ROWS_IN_A_PIECE = 2_000

# Binary COPY: the number of fields, then each field after its length. Fields of one length stand in front of the others.
_ORDER = Struct(">6sq4s16s4sq4sqqq16s4s16s4sq4sq12sHHHHi")
_EVENT = Struct(">6sq4s16s4sq4sq")
_ORDER_FIELDS, _EVENT_FIELDS = 9, 6
_EIGHT, _SIXTEEN, _FORTY = pack(">i", 8), pack(">i", 16), pack(">i", 40)
# A numeric of four digits of base 10,000, the first one times 10,000 squared, and two places; PostgreSQL drops leading zeros.
_AMOUNT = pack(">iHhHH", 16, 4, 2, 0, 2)
_PLACE = 10_000


class LongWay(TillstreamError):
    """Not all plain rows of a chunk can be stored set-wise. Roll back, and give all to the engine."""


class FileRows:
    """Stateless; one serves any number of connections."""

    async def stage(self, conn: AsyncConnection, rows: PlainRows, pieces: Iterable[bytes]) -> set[int]:
        """The lines of those that the engine must judge. `pieces` are what `binary_rows` made of the rows.

        Must be the first thing in the caller's transaction: a client that is stopped in the middle of a COPY must hold no lock.
        """
        statements = FILE_ROWS[rows.entity]
        await conn.execute(statements["create"])
        async with conn.cursor() as cursor, cursor.copy(statements["copy"]) as copy:
            for piece in pieces:
                await copy.write(piece)
        found = await conn.execute(statements["look"])
        return {line for (line,) in await found.fetchall()}

    async def store(
        self, conn: AsyncConnection, entity: Entity, job: JobFacts, left_out: Collection[int]
    ) -> Counter[OutcomeKind]:
        """What became of the staged rows but for those on the lines `left_out`; written, not committed.

        Raises LongWay where PostgreSQL refuses a row, or another session was faster; else psycopg's errors as they are.
        """
        values = {
            "left_out": sorted(left_out),
            "source": job.source,
            "job_id": job.job_id,
            "accepted_at": job.claimed_at,
        }
        try:
            cursor = await conn.execute(FILE_ROWS[entity]["store"], values)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if not is_about_a_record(error):
                raise
            raise LongWay(str(error)) from error
        return Counter({OutcomeKind(outcome): count for outcome, count in await cursor.fetchall() if count})

    async def are_waited_for(self, conn: AsyncConnection, entity: Entity) -> bool:
        """Whether anything is parked until a row of this entity comes."""
        cursor = await conn.execute(FILE_ROWS[entity]["waited_for"])
        return await cursor.fetchone() == (True,)


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
