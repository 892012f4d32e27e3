"""A Kafka record and its CloudEvents headers (binary mode), written by a door and read by the worker."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
import re
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import place_message_id, read_uuid, resolve_event_id
from tillstream.contracts.messages import Message, Origin, Refusal, pack_version
from tillstream.contracts.parsing import parse_json
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import check, content_hash, payload_hash
from tillstream.contracts.rules import EARLIEST, UPDATE_AHEAD, Rules, is_event_id, is_text, read_time, stated_update
from tillstream.errors import MalformedJson

DEFAULT_SOURCE = "shop"
_SPEC_VERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/json")
_TYPE_OF = {entity: ("ce_type", f"shop.{entity.value}.v1".encode()) for entity in Entity}
_UTC_SUFFIX_CHARS = len("+00:00")
_POSITION = re.compile(r"[0-9]{1,18}").fullmatch  # 18 digits fit the 8 bytes of a version

_TOMBSTONE = Refusal(Reason.INVALID_RECORD, "The Kafka record has no value.")
_NO_SOURCE = Refusal(
    Reason.INVALID_HEADER, "ce_source must be a text of 1 to 320 characters in UTF-8 without control characters.", "ce_source"
)


class RecordLike(Protocol):
    """A consumed Kafka record. `timestamp` is the broker's append time, aware."""

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


def headers_for(
    *, message_id: UUID, entity: Entity, source: str, accepted_at: datetime, position: int
) -> list[tuple[str, bytes]]:
    """The headers of a record. `source` keeps the rule for texts; `position` counts items of a request from 0."""
    moment = accepted_at.astimezone(UTC).isoformat(timespec="microseconds")
    return [
        _SPEC_VERSION,
        ("ce_id", str(message_id).encode()),
        _TYPE_OF[entity],
        ("ce_source", source.encode()),
        ("ce_time", f"{moment[:-_UTC_SUFFIX_CHARS]}Z".encode()),
        ("ce_sequence", b"%d" % position),
        _CONTENT_TYPE,
    ]


def read_record(record: RecordLike, entity: Entity, shop_timezone: ZoneInfo) -> Message:
    """The message in a Kafka record, whoever wrote it. Never raises: what cannot be read is a message with a refusal.

    The same record always gives the same message. Of a header that comes twice the last counts, as in Kafka's own
    clients. Without readable headers: the id is made from the record's place, the moment of acceptance is the append
    time, the position 0, the source `shop`; a source that is there and cannot be read is refused, since ids would
    fall to the wrong owner. `ce_type` and the key are not looked at: the topic says what a record is.
    """
    headers = _decoded(record.headers)
    accepted_at = _accepted_at(headers.get("ce_time"), record.timestamp)
    source = headers.get("ce_source", DEFAULT_SOURCE)
    rules = Rules(accepted_at, shop_timezone)
    item = _parsed(record.value)
    if source is None or not is_text(source):
        source, content = DEFAULT_SOURCE, _NO_SOURCE
    else:
        content = item if isinstance(item, Refusal) else check(entity, item, rules)
    message_id = _message_id(record, entity, headers.get("ce_id"), source, item)
    if isinstance(content, Refusal):
        updated_at, digest = stated_update(item, rules), payload_hash(record.value or b"")
    else:
        updated_at, digest = content.get("updated_at"), content_hash(entity, content)
    return Message(
        entity=entity,
        message_id=message_id,
        source=source,
        accepted_at=accepted_at,
        version=pack_version(updated_at or accepted_at, accepted_at, _position(headers.get("ce_sequence")), message_id),
        content_hash=digest,
        payload=record.value or b"",
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
        content=None if isinstance(content, Refusal) else content,
        refusal=content if isinstance(content, Refusal) else None,
    )
