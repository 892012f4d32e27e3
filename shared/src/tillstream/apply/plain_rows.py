"""Rows of plain events in PostgreSQL's binary COPY format, written as a whole.

The format: https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format". psycopg's own writer takes each value
through an adapter, most of them in Python; for ten values a row that costs more than everything else in the batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import batched, chain, compress, repeat
from struct import Struct, pack
from typing import Any, NamedTuple, Self

from tillstream.contracts.plain_columns import PlainColumns
from tillstream.contracts.plain_events import PlainEvent

FIELDS = 10
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension of the header
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EPOCH_US = 946_684_800_000_000  # timestamptz counts from 2000-01-01
PIECE_ROWS = 1_000

# What stands before a value: its size, and before the first one the number of values in the row.
_TO_ORD, _TO_ID, _TO_NUMBER = pack(">hi", FIELDS, 4), pack(">i", 16), pack(">i", 8)
_ROW = Struct(">6si 4s16s 4sq 4sq 4sq")
_ROW_WITH_PRODUCT = Struct(">6si 4s16s 4sq 4sq 4sq 4sq")

type NumberedPlain = tuple[int, PlainEvent]
type _Kind = tuple[str, str, int, int]


class EventRows(NamedTuple):
    """Columns of equal length; times in microseconds since 1970. `kinds`: type, source, accepted_at, kafka_partition."""

    ords: Sequence[int]
    ids: Sequence[bytes]
    user_ids: Sequence[int]
    happened_us: Sequence[int]
    offsets: Sequence[int]
    product_ids: Sequence[int | None]
    kinds: Sequence[_Kind]

    @classmethod
    def of(cls, numbered: Sequence[NumberedPlain]) -> Self:
        """Events that were read one by one, each with its place in the batch."""
        events = [event for _, event in numbered]
        return cls(
            [ord_ for ord_, _ in numbered],
            [event.id_bytes for event in events],
            [event.form.user_id for event in events],
            [event.happened_us for event in events],
            [event.record.offset for event in events],
            [event.form.product_id for event in events],
            [
                (event.form.event_type, event.source, event.accepted[1], event.record.partition)
                for event in events
            ],
        )

    @classmethod
    def of_columns(cls, first: int, events: PlainColumns) -> Self:
        """Events that were read in columns; `first` is the place of the first one in the batch."""
        accepted_us = [moment_us for _, moment_us in events.accepted]
        kinds = zip(
            events.event_types, events.sources, accepted_us, repeat(events.records.partition), strict=False
        )
        return cls(
            range(first, first + len(events)),
            events.ids,
            events.user_ids,
            events.happened_us,
            events.offsets,
            events.product_ids,
            list(kinds),
        )

    def where(self, selectors: Sequence[bool]) -> Self:
        """The rows for which these are true."""
        columns: tuple[Sequence[Any], ...] = self
        return type(self)(*(list(compress(column, selectors)) for column in columns))


def binary_rows(parts: Iterable[EventRows]) -> Iterator[bytes]:
    """A whole COPY, in pieces: ord, event_id, user_id, event_timestamp, kafka_offset, product_id, event_type, source,
    accepted_at, kafka_partition. PostgreSQL takes one piece while the next is made."""
    yield SIGNATURE
    for rows in parts:
        yield _piece(rows)
    yield TRAILER


def rows_of(numbered: Iterable[NumberedPlain]) -> Iterator[EventRows]:
    """Events that were read one by one, in parts for `binary_rows`."""
    return (EventRows.of(some) for some in batched(numbered, PIECE_ROWS))


def _piece(rows: EventRows) -> bytes:
    """Column by column, so that the loop over the rows runs in C; those without a product come last."""
    if None not in rows.product_ids:
        return _joined(rows, [rows.product_ids])
    has_product = [product is not None for product in rows.product_ids]
    with_product, others = rows.where(has_product), rows.where([not has for has in has_product])
    return _joined(with_product, [with_product.product_ids]) + _joined(others, [])


def _joined(rows: EventRows, products: Sequence[Sequence[int | None]]) -> bytes:
    """What differs from row to row is packed; what comes after it is the same for all rows of a kind."""
    before = b"" if products else NULL
    tails = {kind: before + _tail(*kind) for kind in set(rows.kinds)}
    packed = map(
        (_ROW_WITH_PRODUCT if products else _ROW).pack,
        repeat(_TO_ORD),
        rows.ords,
        repeat(_TO_ID),
        rows.ids,
        repeat(_TO_NUMBER),
        rows.user_ids,
        repeat(_TO_NUMBER),
        [happened_us - EPOCH_US for happened_us in rows.happened_us],
        repeat(_TO_NUMBER),
        rows.offsets,
        *chain.from_iterable((repeat(_TO_NUMBER), each) for each in products),
    )
    return b"".join(chain.from_iterable(zip(packed, map(tails.__getitem__, rows.kinds), strict=True)))


def _tail(event_type: str, source: str, accepted_us: int, partition: int) -> bytes:
    kind, sender = event_type.encode(), source.encode()
    texts = pack(">i", len(kind)) + kind + pack(">i", len(sender)) + sender
    return texts + pack(">iqih", 8, accepted_us - EPOCH_US, 2, partition)
