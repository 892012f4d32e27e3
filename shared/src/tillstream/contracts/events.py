"""Something a user did."""

from typing import NotRequired, TypedDict

from pydantic import ConfigDict, with_config

from tillstream.contracts.rules import EventId, EventType, Id, Moment, UpdateMoment


@with_config(ConfigDict(extra="forbid", strict=True))
class EventRecord(TypedDict):
    event_id: NotRequired[EventId]
    user_id: Id
    event_type: EventType
    product_id: NotRequired[Id]
    event_timestamp: Moment
    updated_at: NotRequired[UpdateMoment]
