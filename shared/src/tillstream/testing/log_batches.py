"""Batches of the log as a broker keeps them, and plain events in them as our own door writes them."""

from collections.abc import Sequence
from datetime import datetime
from struct import pack_into
from typing import NamedTuple
from uuid import UUID, uuid5

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c, decode_varint

from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import headers_for
from tillstream.contracts.plain_columns import EVENT_FORM, PlainColumns, plain_columns
from tillstream.kafka.log_columns import Block, block_of, may_be_plain, written_number
from tillstream.kafka.log_format import unpacked, whole_batches
from tillstream.kafka.records import Headers, Place
from tillstream.testing.builders import ACCEPTED_AT, MESSAGE_ID, UTC_ZONE

APPEND_TIME, CONTROL = 0x08, 0x20
ZSTD = 4
STAMP_MS = int(ACCEPTED_AT.timestamp()) * 1_000
RECORDS_FROM = 61  # bytes
_BATCH_BYTES = 2**24
_FORMAT, _NO_PRODUCER, _NO_EPOCH = 2, -1, -1
_LENGTH_AT, _CRC_AT, _SUMMED_FROM, _ATTRIBUTES_AT = 8, 17, 21, 22
_LENGTH_FROM = 12
_DELTA_AT = 2  # in a record's body, behind its attributes and a time of one byte: the batch's own


class ToLog(NamedTuple):
    """A record to be put into a batch."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def log_batch(records: Sequence[ToLog], *, base: int = 0, codec: int = 0, flags: int = APPEND_TIME) -> bytes:
    """One batch that begins at offset `base`, all of whose records have the time STAMP_MS."""
    builder = DefaultRecordBatchBuilder(
        _FORMAT,
        codec,
        is_transactional=0,
        producer_id=_NO_PRODUCER,
        producer_epoch=_NO_EPOCH,
        base_sequence=0,
        batch_size=_BATCH_BYTES,
    )
    for at, record in enumerate(records):
        builder.append(
            at, timestamp=STAMP_MS, key=record.key, value=record.value, headers=list(record.headers)
        )
    batch = builder.build()
    pack_into(">q", batch, 0, base)
    batch[_ATTRIBUTES_AT] |= flags
    return sealed(bytes(batch))


def lying_batch(records: Sequence[ToLog], deltas: Sequence[int], *, flags: int = APPEND_TIME) -> bytes:
    """The same, at offset 0 and not compressed, whose records say of themselves that they lie so far (≥ 0) behind it."""
    written = bytearray()
    for record, delta in zip(records, deltas, strict=True):
        alone = bytearray(log_batch([record])[RECORDS_FROM:])
        _, at = decode_varint(alone)
        body = alone[at : at + _DELTA_AT] + written_number(delta) + alone[at + _DELTA_AT + 1 :]
        written += written_number(len(body)) + body
    return sealed(log_batch(records, flags=flags)[:RECORDS_FROM] + bytes(written))


def sealed(batch: bytes) -> bytes:
    """The same with the length and the checksum that its bytes have."""
    done = bytearray(batch)
    pack_into(">i", done, _LENGTH_AT, len(done) - _LENGTH_FROM)
    pack_into(">I", done, _CRC_AT, calc_crc32c(bytes(done[_SUMMED_FROM:])))
    return bytes(done)


def plain_event(number: int, **members: str) -> ToLog:
    """An event as our door writes it; `members` are texts of JSON values to be put in place of its own, in its order."""
    event_id = event_id_of(number)
    good = {
        "event_id": f'"{event_id}"',
        "user_id": str(number % 7 + 1),
        "event_type": '"page_view"',
        "product_id": str(number % 5 + 1),
        "event_timestamp": f'"2024-05-31T12:00:00.{number:06}Z"',
    }
    written = ",".join(f'"{name}":{text}' for name, text in {**good, **members}.items() if text)
    return ToLog(b"%d" % (number % 7 + 1), b"{%s}" % written.encode(), door_headers(number))


def event_id_of(number: int) -> UUID:
    """The id of the plain event of a number."""
    return uuid5(MESSAGE_ID, str(number))


def door_headers(number: int, source: str = "shop", accepted_at: datetime = ACCEPTED_AT) -> Headers:
    return headers_for(
        message_id=event_id_of(number),
        entity=Entity.EVENT,
        source=source,
        accepted_at=accepted_at,
        position=number,
    )


def blocks_of(batch: bytes, place: Place, appended_at: datetime = ACCEPTED_AT) -> list[Block | None]:
    """What each of these batches is in columns."""
    return [
        block_of(EVENT_FORM, place, head, unpacked(head, packed), appended_at)
        if may_be_plain(EVENT_FORM, head)
        else None
        for head, packed in whole_batches(batch)
    ]


def block_in(records: Sequence[ToLog], place: Place, base: int = 0) -> Block:
    """Plain records as a block, also so few that a consumer would read them one by one."""
    [(head, packed)] = whole_batches(log_batch(records, base=base))
    found = block_of(EVENT_FORM, place, head, unpacked(head, packed), ACCEPTED_AT)
    assert found is not None, "the records have the plain form"
    return found


def columns_in(block: Block) -> PlainColumns:
    """Its events, which must be good."""
    found = plain_columns(block, UTC_ZONE)
    assert found is not None, "the events are plainly good"
    return found
