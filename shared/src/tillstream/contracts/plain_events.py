"""Events in the plain form that our own door writes, read without a detour over the rules: several times as fast.

Nothing here decides what is allowed. Whatever is not plainly good is left to `read_record`, and a plain event can be
completed by it at any time; a property test holds the two against each other.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import (
    DEFAULT_SOURCE_HEADER,
    RecordLike,
    acceptance,
    read_record,
    source_of,
)
from tillstream.contracts.messages import Message, microseconds
from tillstream.contracts.rules import AHEAD, EARLIEST, MAX_ID, EventTypeName

ID_CHARS, ID_BYTES = 36, 16
# The punctuation of the two forms that a canonical time has, at every third place from the fourth on, and its length.
WHOLE_SECONDS, MICROSECONDS = ("--T::Z", 20), ("--T::.", 27)
REMEMBERED = 10_000  # moments of acceptance: one per request
_EARLIEST_US = microseconds(EARLIEST)
_AHEAD_US = AHEAD // timedelta(microseconds=1)

_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]


class _Form(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    event_id: str
    user_id: _Id
    event_type: EventTypeName
    event_timestamp: str
    product_id: _Id | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(_Form).decode


class PlainEvent:
    """A good event: what its row in the table says, times in microseconds since 1970, and the record that it came in."""

    __slots__ = (
        "_shop_timezone",
        "accepted_at",
        "accepted_us",
        "event_type",
        "happened_us",
        "id_bytes",
        "product_id",
        "record",
        "source",
        "user_id",
    )
    entity: ClassVar = Entity.EVENT

    def __init__(
        self,
        record: RecordLike,
        form: _Form,
        id_bytes: bytes,
        happened_us: int,
        source: str,
        accepted: tuple[datetime, int],
        shop_timezone: ZoneInfo,
    ) -> None:
        self.record = record
        self.id_bytes = id_bytes
        self.user_id = form.user_id
        self.event_type = form.event_type
        self.product_id = None if form.product_id is msgspec.UNSET else form.product_id
        self.happened_us = happened_us
        self.source = source
        self.accepted_at, self.accepted_us = accepted
        self._shop_timezone = shop_timezone

    def __repr__(self) -> str:
        return f"<PlainEvent {self.message_id} of user {self.user_id}>"

    @property
    def message_id(self) -> UUID:
        return UUID(bytes=self.id_bytes)

    def complete(self) -> Message:
        """The message that `read_record` makes of the same record."""
        return read_record(self.record, Entity.EVENT, self._shop_timezone)


class PlainReader:
    """Reads records of the topic of events. It remembers moments of acceptance, since one request has one."""

    def __init__(self, shop_timezone: ZoneInfo) -> None:
        self._shop_timezone = shop_timezone
        self._accepted: dict[tuple[bytes | None, datetime], tuple[datetime, int]] = {}

    def read(self, records: Sequence[RecordLike]) -> list[PlainEvent | Message]:
        """One per record. Never raises; the same record always gives the same event."""
        zone = self._shop_timezone
        return [self._plain(record) or read_record(record, Entity.EVENT, zone) for record in records]

    def _plain(self, record: RecordLike) -> PlainEvent | None:
        try:
            form = _decode(record.value or b"")
            event_id = form.event_id
            id_bytes = bytes.fromhex(event_id.replace("-", ""))
        except (msgspec.DecodeError, ValueError):  # not JSON, not of this form, not hexadecimal
            return None
        if len(event_id) != ID_CHARS or len(id_bytes) != ID_BYTES or event_id[8:24:5] != "----":
            return None
        happened_us = _moment(form.event_timestamp)
        headers = dict(record.headers)
        source = source_of(headers.get("ce_source", DEFAULT_SOURCE_HEADER))
        if happened_us is None or source is None:
            return None
        accepted = self._acceptance(headers.get("ce_time"), record.timestamp)
        if not _EARLIEST_US <= happened_us <= accepted[1] + _AHEAD_US:
            return None
        return PlainEvent(record, form, id_bytes, happened_us, source, accepted, self._shop_timezone)

    def _acceptance(self, stated: bytes | None, appended_at: datetime) -> tuple[datetime, int]:
        key = (stated, appended_at)
        known = self._accepted.get(key)
        if known is None:
            if len(self._accepted) >= REMEMBERED:
                self._accepted.clear()
            moment = acceptance(stated, appended_at)
            known = self._accepted[key] = moment, microseconds(moment)
        return known


def _moment(text: str) -> int | None:
    """Microseconds since 1970 of a time in canonical form, as far as that is what it is."""
    chars = len(text)
    if (text[4:20:3], chars) != WHOLE_SECONDS and ((text[4:20:3], chars) != MICROSECONDS or text[-1] != "Z"):
        return None
    try:
        return microseconds(datetime.fromisoformat(text))
    except ValueError:
        return None
