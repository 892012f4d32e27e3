"""A Kafka record and its CloudEvents headers (binary mode), written by a door and read by the worker."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from tillstream.contracts.arrivals import Arrival, arrived, refused
from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import place_message_id, read_uuid
from tillstream.contracts.messages import Message, Origin, Refusal
from tillstream.contracts.parsing import nested_deeper_than, parse_json
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import MAX_DEPTH, MAX_RECORD_BYTES, TOO_DEEP, payload_hash
from tillstream.contracts.rules import EARLIEST, MAX_TEXT_CHARS, UPDATE_AHEAD, Rules, is_text, read_time
from tillstream.errors import MalformedJson

DEFAULT_SOURCE = "shop"
DEFAULT_SOURCE_HEADER = DEFAULT_SOURCE.encode()
SOURCE_BYTES = MAX_TEXT_CHARS * 4  # at most: a character of UTF-8 has four
_SOURCES_KEPT = 1_024
_SPEC_VERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/json")
_TYPE_OF = {entity: ("ce_type", f"shop.{entity.value}.v1".encode()) for entity in Entity}
_UTC = ZoneInfo("UTC")
_UTC_SUFFIX_CHARS = len("+00:00")
_POSITION = re.compile(r"[0-9]{1,18}").fullmatch  # 18 digits fit the 8 bytes of a version

_TOMBSTONE = Refusal(Reason.INVALID_RECORD, "The Kafka record has no value.")
_NO_SOURCE = Refusal(
    Reason.INVALID_HEADER,
    "ce_source must be a text of 1 to 320 characters in UTF-8 without control characters.",
    "ce_source",
)


def _too_long(value: bytes) -> Refusal:
    return Refusal(
        Reason.RECORD_TOO_LARGE,
        f"The value has {len(value)} bytes, and {MAX_RECORD_BYTES} at most are allowed: these are the first of them. Its"
        f" hash (BLAKE2b, 16 bytes) is {payload_hash(value).hex()}.",
    )


class RecordLike(Protocol):
    """A consumed Kafka record. `timestamp` is the broker's append time, aware; `problem` says why its log could not be read."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def problem(self) -> str | None: ...


def headers_for(
    *, message_id: UUID, entity: Entity, source: str, accepted_at: datetime, position: int
) -> list[tuple[str, bytes]]:
    """The headers of a record. `source` keeps the rule for texts; `position` counts items of a request from 0."""
    return [
        _SPEC_VERSION,
        ("ce_id", str(message_id).encode()),
        _TYPE_OF[entity],
        ("ce_source", source.encode()),
        time_header(accepted_at),
        ("ce_sequence", b"%d" % position),
        _CONTENT_TYPE,
    ]


def time_header(accepted_at: datetime) -> tuple[str, bytes]:
    """The one among them that says when."""
    moment = accepted_at.astimezone(UTC).isoformat(timespec="microseconds")
    return "ce_time", f"{moment[:-_UTC_SUFFIX_CHARS]}Z".encode()


def read_record(record: RecordLike, entity: Entity, shop_timezone: ZoneInfo) -> Message:
    """The message in a Kafka record, whoever wrote it. Never raises: what cannot be read is a message with a refusal.

    The same record always gives the same message. Of a header that comes twice the last counts, as in Kafka's own
    clients. Without readable headers: the id is made from the record's place, the moment of acceptance is the append
    time, the position 0, the source `shop`. A source that is there and cannot be read is refused, since its ids would
    fall to the wrong owner. Of a value above MAX_RECORD_BYTES, which only compression brings through the broker, these are
    kept: whoever stores or replays it would else need its size several times over. A batch that cannot be read is kept whole:
    it has no more than a broker takes. `ce_type` and the key are not looked at: the topic says what a record is.
    """
    headers = dict(record.headers)
    value = record.value or b""
    source = source_of(headers.get("ce_source", DEFAULT_SOURCE_HEADER))
    accepted_at = acceptance(headers.get("ce_time"), record.timestamp)
    arrival = Arrival(
        entity=entity,
        source=source or DEFAULT_SOURCE,
        rules=Rules(accepted_at, shop_timezone),
        version_at=accepted_at,
        position=_position(_text(headers.get("ce_sequence"))),
        payload=value[:MAX_RECORD_BYTES] if record.problem is None else value,
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
    )

    def other_id(_: bytes | None) -> UUID:
        own_id = read_uuid(_text(headers.get("ce_id")) or "")
        return own_id or place_message_id(record.topic, record.partition, record.offset)

    refusal = _refusal_of(record, source)
    if refusal is not None:
        return refused(arrival, refusal, other_id(None))
    try:
        item = parse_json(value)
    except MalformedJson as error:
        return refused(arrival, Refusal(Reason.MALFORMED_JSON, str(error)), other_id(None))
    return arrived(arrival, item, other_id)


def _refusal_of(record: RecordLike, source: str | None) -> Refusal | None:
    """Why a value is not even parsed."""
    if record.problem is not None:
        return Refusal(Reason.UNREADABLE_BATCH, record.problem)
    if source is None:
        return _NO_SOURCE
    if record.value is None:
        return _TOMBSTONE
    if len(record.value) > MAX_RECORD_BYTES:
        return _too_long(record.value)
    return TOO_DEEP if nested_deeper_than(record.value, MAX_DEPTH) else None


def source_of(value: bytes | None) -> str | None:
    """The source that a header names, or None where it cannot be one."""
    # Looked at before it is remembered: else a thousand headers of a megabyte would be, too.
    return None if value is not None and len(value) > SOURCE_BYTES else _source_of(value)


@lru_cache(maxsize=_SOURCES_KEPT)
def _source_of(value: bytes | None) -> str | None:
    """A process meets few of them, again and again."""
    text = _text(value)
    return text if text is not None and is_text(text) else None


def acceptance(stated: bytes | None, appended_at: datetime) -> datetime:
    """The moment of acceptance: what the door says, unless its clock runs ahead of the broker's; else the append time."""
    moment = read_time(_text(stated), _UTC)
    if moment is None or not EARLIEST <= moment <= appended_at + UPDATE_AHEAD:
        return max(appended_at, EARLIEST)
    return moment


def _text(value: bytes | None) -> str | None:
    try:
        return value.decode() if value is not None else None
    except UnicodeDecodeError:
        return None


def _position(stated: str | None) -> int:
    return int(stated) if stated is not None and _POSITION(stated) else 0
