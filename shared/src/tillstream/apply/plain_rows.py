"""Rows of plain events in PostgreSQL's binary COPY format, written as a whole.

The format: https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format". psycopg's own writer takes each value
through an adapter, most of them in Python; for ten values a row that costs more than everything else in the batch.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import batched, chain, repeat
from struct import Struct, pack
from typing import NamedTuple

from tillstream.contracts.plain_events import PlainEvent

FIELDS = 10
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension of the header
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EPOCH_US = 946_684_800_000_000  # timestamptz counts from 2000-01-01
KINDS_REMEMBERED = 4_096
PIECE_ROWS = 1_000

type NumberedPlain = tuple[int, PlainEvent]


def binary_rows(numbered: Iterable[NumberedPlain]) -> Iterator[bytes]:
    """A whole COPY, in pieces: ord, event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at,
    kafka_partition, kafka_offset. PostgreSQL takes one piece while the next is made."""
    yield SIGNATURE
    for some in batched(numbered, PIECE_ROWS):
        yield _piece(some)
    yield TRAILER


def _piece(numbered: Iterable[NumberedPlain]) -> bytes:
    """Some rows; those of one kind stand together."""
    kinds: defaultdict[tuple[str, str, bool], list[NumberedPlain]] = defaultdict(list)
    for each in numbered:
        event = each[1]
        kinds[event.form.event_type, event.source, event.form.product_id is None].append(each)
    return b"".join(chain.from_iterable(_rows(_layout(*kind), some) for kind, some in kinds.items()))


class _Layout(NamedTuple):
    """What the rows of one kind have between their values, and how a row is put together."""

    row: Struct
    to_ord: bytes
    to_id: bytes
    to_user: bytes
    to_product: bytes
    to_time: bytes
    to_accepted: bytes
    to_partition: bytes
    to_offset: bytes
    has_product: bool


def _rows(layout: _Layout, numbered: Sequence[NumberedPlain]) -> Iterable[bytes]:
    """Column by column, so that the loop over the rows runs in C."""
    events = [event for _, event in numbered]
    products = [[event.form.product_id for event in events]] if layout.has_product else []
    return map(
        layout.row.pack,
        repeat(layout.to_ord),
        [ord_ for ord_, _ in numbered],
        repeat(layout.to_id),
        [event.id_bytes for event in events],
        repeat(layout.to_user),
        [event.form.user_id for event in events],
        repeat(layout.to_product),
        *products,
        repeat(layout.to_time),
        [event.happened_us - EPOCH_US for event in events],
        repeat(layout.to_accepted),
        [event.accepted[1] - EPOCH_US for event in events],
        repeat(layout.to_partition),
        [event.record.partition for event in events],
        repeat(layout.to_offset),
        [event.record.offset for event in events],
    )


@lru_cache(maxsize=KINDS_REMEMBERED)
def _layout(event_type: str, source: str, without_product: bool) -> _Layout:  # noqa: FBT001 - a part of the key
    kind, sender = event_type.encode(), source.encode()
    to_product = pack(">i", len(kind)) + kind + (NULL if without_product else pack(">i", 8))
    to_accepted = pack(">i", len(sender)) + sender + pack(">i", 8)
    product = "" if without_product else "q"
    return _Layout(
        row=Struct(f">6si4s16s4sq{len(to_product)}s{product}4sq{len(to_accepted)}sq4sh4sq"),
        to_ord=pack(">hi", FIELDS, 4),
        to_id=pack(">i", 16),
        to_user=pack(">i", 8),
        to_product=to_product,
        to_time=pack(">i", 8),
        to_accepted=to_accepted,
        to_partition=pack(">i", 2),
        to_offset=pack(">i", 8),
        has_product=not without_product,
    )
