"""What every way of arriving shares: an item is checked and becomes a message with its id, version and hash."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import resolve_event_id
from tillstream.contracts.messages import Message, Origin, Refusal, pack_version
from tillstream.contracts.records import check, content_hash, payload_hash
from tillstream.contracts.rules import Rules, is_text, stated_update


class Arrival(NamedTuple):
    """What is known of a message before its item is looked at. `version_at` counts where it has no `updated_at`."""

    entity: Entity
    source: str
    rules: Rules
    version_at: datetime
    position: int
    payload: bytes
    origin: Origin


def arrived(arrival: Arrival, item: object, other_id: Callable[[bytes | None], UUID]) -> Message:
    """The message of an item, which is checked here.

    An event with an id has that id, also when it is refused for something else. For any other item `other_id` makes
    one from the content hash, or from None if the item is refused.
    """
    content = check(arrival.entity, item, arrival.rules)
    if isinstance(content, Refusal):
        message_id = _event_id(arrival, item) or other_id(None)
        return refused(arrival, content, message_id, stated_update(item, arrival.rules))
    digest = content_hash(arrival.entity, content)
    if "event_id" in content:
        message_id = resolve_event_id(arrival.source, content["event_id"])
    else:
        message_id = other_id(digest)
    return _message(arrival, message_id, digest, content.get("updated_at"), content=content)


def refused(
    arrival: Arrival, refusal: Refusal, message_id: UUID, updated_at: datetime | None = None
) -> Message:
    """The message of what was refused; it keeps its place in the order of versions, for the day it is corrected."""
    return _message(arrival, message_id, payload_hash(arrival.payload), updated_at, refusal=refusal)


def _event_id(arrival: Arrival, item: object) -> UUID | None:
    if arrival.entity is not Entity.EVENT or not isinstance(item, dict) or not is_text(item.get("event_id")):
        return None
    return resolve_event_id(arrival.source, item["event_id"])


def _message(
    arrival: Arrival,
    message_id: UUID,
    digest: bytes,
    updated_at: datetime | None,
    *,
    content: dict[str, Any] | None = None,
    refusal: Refusal | None = None,
) -> Message:
    accepted_at = arrival.rules.accepted_at
    return Message(
        entity=arrival.entity,
        message_id=message_id,
        source=arrival.source,
        accepted_at=accepted_at,
        version=pack_version(updated_at or arrival.version_at, accepted_at, arrival.position, message_id),
        content_hash=digest,
        payload=arrival.payload,
        origin=arrival.origin,
        content=content,
        refusal=refusal,
    )
