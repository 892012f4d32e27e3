"""Rows of plain events in PostgreSQL's binary COPY format, written as a whole.

The format: https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format". psycopg's own writer takes each value
through an adapter, most of them in Python; for eleven values a row that costs more than everything else in the batch.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from struct import Struct, pack

from tillstream.contracts.plain_events import PlainEvent

FIELDS = 10
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension of the header
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EPOCH_US = 946_684_800_000_000  # timestamptz counts from 2000-01-01
KINDS_REMEMBERED = 4_096

type Write = Callable[[int, PlainEvent], bytes]


def binary_rows(numbered: Iterable[tuple[int, PlainEvent]]) -> bytes:
    """A whole COPY: ord, event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, kafka_partition,
    kafka_offset."""
    rows = [
        _writer(event.event_type, event.source, event.product_id is not None)(ord_, event)
        for ord_, event in numbered
    ]
    return b"".join((SIGNATURE, *rows, TRAILER))


@lru_cache(maxsize=KINDS_REMEMBERED)
def _writer(event_type: str, source: str, has_product: bool) -> Write:  # noqa: FBT001 - a part of the key
    """Writes the rows of one kind: what all of them have between their values is laid out once."""
    to_ord, to_id, to_user = pack(">hi", FIELDS, 4), pack(">i", 16), pack(">i", 8)
    kind, sender = event_type.encode(), source.encode()
    to_product = pack(">i", len(kind)) + kind + (pack(">i", 8) if has_product else NULL)
    to_time, to_partition, to_offset = pack(">i", 8), pack(">i", 2), pack(">i", 8)
    to_accepted = pack(">i", len(sender)) + sender + pack(">i", 8)
    layout = Struct(
        f">{len(to_ord)}si4s16s4sq{len(to_product)}s{'q' if has_product else ''}4sq{len(to_accepted)}sq4sh4sq"
    ).pack

    def with_product(ord_: int, event: PlainEvent) -> bytes:
        record = event.record
        return layout(
            to_ord, ord_, to_id, event.id_bytes, to_user, event.user_id, to_product, event.product_id, to_time,
            event.happened_us - EPOCH_US, to_accepted, event.accepted_us - EPOCH_US, to_partition,
            record.partition, to_offset, record.offset,
        )  # fmt: skip

    def without_product(ord_: int, event: PlainEvent) -> bytes:
        record = event.record
        return layout(
            to_ord, ord_, to_id, event.id_bytes, to_user, event.user_id, to_product, to_time,
            event.happened_us - EPOCH_US, to_accepted, event.accepted_us - EPOCH_US, to_partition,
            record.partition, to_offset, record.offset,
        )  # fmt: skip

    return with_product if has_product else without_product
