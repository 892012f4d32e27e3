"""Events in the plain form that our own door writes, read without a detour over the rules: many times as fast.

Nothing here decides what is allowed. Whatever is not plainly good is left to `read_record`, and a plain event can be
completed by it at any time; a property test holds the two against each other. Records are read in columns, so that the
loops run in C: in Python one step per record and column costs more than parsing it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from itertools import repeat
from operator import attrgetter
from typing import Annotated, NamedTuple
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
from tillstream.contracts.messages import Message, microseconds, microseconds_of_all
from tillstream.contracts.records import MAX_RECORD_BYTES
from tillstream.contracts.rules import AHEAD, EARLIEST, MAX_ID, EventTypeName

SLICE = 64  # records that one odd one among them sends the long way
MOMENTS_REMEMBERED = 10_000
MOMENT_BYTES = 64  # of a stated moment; a right one has 32 at most
ID_CHARS, ID_BYTES = 36, 16
EARLIEST_US = microseconds(EARLIEST)
AHEAD_US = AHEAD // timedelta(microseconds=1)
# Where punctuation stands in the canonical text of an id, and of a time with and without a fraction.
_ID_MARKS = {8: "-", 13: "-", 18: "-", 23: "-"}
_TIME_MARKS = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":"}
_TIME_FORMS = {20: {**_TIME_MARKS, 19: "Z"}, 27: {**_TIME_MARKS, 19: ".", 26: "Z"}}

PlainId = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]


class PlainForm(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What an event has in plain form; the texts are still to be looked at."""

    event_id: str
    user_id: PlainId
    event_type: EventTypeName
    event_timestamp: str
    product_id: PlainId | None = None


_decode = msgspec.json.Decoder(PlainForm).decode
_get_value, _get_headers, _get_stamp = attrgetter("value"), attrgetter("headers"), attrgetter("timestamp")


class PlainEvent(NamedTuple):
    """A good event: what its row in the table says, and the record that it came in. Times in microseconds since 1970."""

    record: RecordLike
    form: PlainForm
    id_bytes: bytes
    happened_us: int
    source: str
    accepted: tuple[datetime, int]
    shop_timezone: ZoneInfo

    @property
    def entity(self) -> Entity:
        return Entity.EVENT

    @property
    def message_id(self) -> UUID:
        return UUID(bytes=self.id_bytes)

    @property
    def accepted_at(self) -> datetime:
        return self.accepted[0]

    def complete(self) -> Message:
        """The message that `read_record` makes of the same record."""
        return read_record(self.record, Entity.EVENT, self.shop_timezone)


_make_event = partial(tuple.__new__, PlainEvent)


def are_all_plain(messages: Iterable[object]) -> bool:
    """Whether there are any, and nothing but plain events: told without a step of Python for each."""
    return set(map(type, messages)) == {PlainEvent}


class PlainReader:
    """Reads records of the topic of events."""

    def __init__(self, shop_timezone: ZoneInfo) -> None:
        self._shop_timezone = shop_timezone

    def read(self, records: Sequence[RecordLike]) -> list[PlainEvent | Message]:
        """One per record. Never raises; the same record always gives the same event."""
        events: list[PlainEvent | Message] = []
        for begin in range(0, len(records), SLICE):
            some = records[begin : begin + SLICE]
            events += self._all_plain(some) or self._one_by_one(some)
        return events

    def _one_by_one(self, records: Sequence[RecordLike]) -> list[PlainEvent | Message]:
        events: list[PlainEvent | Message] = []
        for record in records:
            events += self._all_plain([record]) or [read_record(record, Entity.EVENT, self._shop_timezone)]
        return events

    def _all_plain(self, records: Sequence[RecordLike]) -> list[PlainEvent] | None:
        """All of them, or None if one is not plainly good."""
        if max(map(len, filter(None, map(_get_value, records))), default=0) > MAX_RECORD_BYTES:
            return None
        try:
            forms = list(map(_decode, map(_get_value, records)))
            ids = _ids([form.event_id for form in forms])
            happened = _moments([form.event_timestamp for form in forms])
        # No such JSON; a tombstone; no hexadecimal digits, no such day.
        except (msgspec.DecodeError, TypeError, ValueError):
            return None
        headers = list(map(dict, map(_get_headers, records)))
        named = [each.get("ce_source", DEFAULT_SOURCE_HEADER) for each in headers]
        source_named = {name: source_of(name) for name in set(named)}
        stated = [each.get("ce_time") for each in headers]
        if max(map(len, filter(None, set(stated))), default=0) > MOMENT_BYTES:
            return None  # before it is remembered: else ten thousand headers of a megabyte would be
        accepted = list(map(acceptance_of, stated, map(_get_stamp, records)))
        if min(happened) < EARLIEST_US or None in source_named.values():
            return None
        sources = map(source_named.__getitem__, named)
        if max(happened) > min(accepted)[1] + AHEAD_US:
            return None
        columns = (records, forms, ids, happened, sources, accepted, repeat(self._shop_timezone))
        return list(map(_make_event, zip(*columns, strict=False)))  # the last one has no end


@lru_cache(maxsize=MOMENTS_REMEMBERED)
def acceptance_of(stated: bytes | None, appended_at: datetime) -> tuple[datetime, int]:
    """The moment of acceptance, and the same in microseconds since 1970. Remembered, since all events of one request share
    it: `stated` must be of MOMENT_BYTES at most."""
    moment = acceptance(stated, appended_at)
    return moment, microseconds(moment)


def _ids(texts: Sequence[str]) -> list[bytes]:
    """The bytes of UUIDs in canonical form. Raises ValueError if one is in another form."""
    joined = "".join(texts)
    _check_marks(texts, joined, ID_CHARS, _ID_MARKS)
    found = bytes.fromhex(joined.replace("-", ""))
    if len(found) != ID_BYTES * len(texts):  # a further hyphen, or a space, which fromhex passes over
        raise ValueError("an id has other characters between its digits")
    return one_by_one(found)


def one_by_one(ids: bytes) -> list[bytes]:
    """Each of the ids that lie there end to end, of ID_BYTES."""
    return [ids[begin : begin + ID_BYTES] for begin in range(0, len(ids), ID_BYTES)]


def _moments(texts: Sequence[str]) -> list[int]:
    """Microseconds since 1970 of times in one canonical form. Raises ValueError if one is in another form."""
    length = len(texts[0])
    marks = _TIME_FORMS.get(length)
    if marks is None:
        raise ValueError(f"a time of {length} characters is not in canonical form")
    _check_marks(texts, "".join(texts), length, marks)
    return microseconds_of_all(map(datetime.fromisoformat, texts))


def _check_marks(texts: Sequence[str], joined: str, length: int, marks: dict[int, str]) -> None:
    """Raises ValueError unless all texts have this length and these characters at these places."""
    if set(map(len, texts)) != {length}:
        raise ValueError("the texts have several lengths")
    for place, mark in marks.items():
        if joined[place::length] != mark * len(texts):
            raise ValueError(f"not each text has {mark} at place {place}")
