"""Plain events of a block of records, read in columns from the bytes that the form named: nothing is made for each record.

As in `plain_events`, nothing here decides what is allowed, and a property test holds both against the rules.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import repeat
from operator import itemgetter
from typing import get_args, override
from zoneinfo import ZoneInfo

from tillstream.contracts.entities import EVENTS_TOPIC
from tillstream.contracts.envelope import SOURCE_BYTES, RecordLike, source_of
from tillstream.contracts.messages import microseconds_of_all
from tillstream.contracts.parts import Lazy
from tillstream.contracts.plain_events import (
    AHEAD_US,
    EARLIEST_US,
    ID_CHARS,
    PlainEvent,
    PlainForm,
    acceptance_of,
    one_by_one,
)
from tillstream.contracts.record_forms import HeaderForm, RecordColumns, RecordForm
from tillstream.contracts.rules import MAX_ID, EventTypeName

_HEX = b"[0-9a-f]"
_UUID = b"%s{8}-%s{4}-%s{4}-%s{4}-%s{12}" % ((_HEX,) * 5)
_KEY = b"[1-9][0-9]{0,18}"
_TIME = b"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}"
_MOMENT_BYTES = 27

EVENT_FORM = RecordForm(
    key=_KEY,
    value=(
        rb'\{"event_id":"(?P<event_id>%s)","user_id":(?P<user_id>%s),"event_type":"(?P<event_type>[a-z_]{1,32})",'
        rb'(?:"product_id":(?P<product_id>%s),)?"event_timestamp":"(?P<event_timestamp>%s(?:\.[0-9]{6})?Z)"\}'
    )
    % (_UUID, _KEY, _KEY, _TIME),
    headers=(
        HeaderForm("ce_specversion", rb"1\.0", size=3),
        HeaderForm("ce_id", _UUID, size=ID_CHARS),
        HeaderForm("ce_type", rb"shop\.event\.v1", size=13),
        HeaderForm("ce_source", rb"[^\x00-\x1f]{1,%d}" % SOURCE_BYTES),
        HeaderForm("ce_time", rb"%s\.[0-9]{6}Z" % _TIME, size=_MOMENT_BYTES, is_kept=True),
        HeaderForm("ce_sequence", rb"[0-9]{1,18}"),
        HeaderForm("content-type", rb"application/json", size=16),
    ),
)
PLAIN_FORMS = {EVENTS_TOPIC: EVENT_FORM}

_TYPES = {name.encode(): name for name in get_args(EventTypeName)}


class PlainColumns(Lazy[PlainEvent]):
    """Good events of one partition, in the order of their offsets. A `PlainEvent` is made when asked for.

    Lists of equal length: ids of 16 bytes, whole numbers, texts; times in microseconds since 1970, a moment of acceptance as
    `PlainEvent.accepted`.
    """

    def __init__(
        self,
        records: RecordColumns,
        ids: Sequence[bytes],
        user_ids: Sequence[int],
        event_types: Sequence[EventTypeName],
        product_ids: Sequence[int | None],
        happened_us: Sequence[int],
        sources: Sequence[str],
        accepted: Sequence[tuple[datetime, int]],
        shop_timezone: ZoneInfo,
    ) -> None:
        self.records = records
        self.ids = ids
        self.user_ids = user_ids
        self.event_types = event_types
        self.product_ids = product_ids
        self.happened_us = happened_us
        self.sources = sources
        self.accepted = accepted
        self._shop_timezone = shop_timezone

    def __repr__(self) -> str:
        return f"<PlainColumns: {len(self)} events of {self.records!r}>"

    @override
    def __len__(self) -> int:
        return len(self.ids)

    @property
    def offsets(self) -> range:
        """Of all records."""
        first = self.records.first_offset
        return range(first, first + len(self))

    @override
    def item(self, place: int) -> PlainEvent:
        return next(self._events(slice(place, place + 1)))

    @override
    def __iter__(self) -> Iterator[PlainEvent]:
        return self._events(slice(None))

    def _events(self, some: slice) -> Iterator[PlainEvent]:
        forms = map(
            PlainForm,
            map(bytes.decode, self.records.column("event_id")[some]),
            self.user_ids[some],
            self.event_types[some],
            map(bytes.decode, self.records.column("event_timestamp")[some]),
            self.product_ids[some],
        )
        return map(
            PlainEvent,
            map(_Lazily, repeat(self.records), range(len(self))[some]),
            forms,
            self.ids[some],
            self.happened_us[some],
            self.sources[some],
            self.accepted[some],
            repeat(self._shop_timezone),
        )


class _Lazily:
    """A record whose parts are read from the log's bytes when asked for: most events never need them."""

    __slots__ = ("_columns", "_place")

    def __init__(self, columns: RecordColumns, place: int) -> None:
        self._columns = columns
        self._place = place

    def __repr__(self) -> str:
        return f"<{self.topic}[{self.partition}] {self.offset}>"

    @override
    def __eq__(self, other: object) -> bool:
        return self._whole() == (other._whole() if isinstance(other, _Lazily) else other)

    @override
    def __hash__(self) -> int:
        return hash((self.topic, self.partition, self.offset))

    @property
    def topic(self) -> str:
        return self._columns.topic

    @property
    def partition(self) -> int:
        return self._columns.partition

    @property
    def offset(self) -> int:
        return self._columns.first_offset + self._place

    @property
    def key(self) -> bytes | None:
        return self._whole().key

    @property
    def value(self) -> bytes | None:
        return self._whole().value

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        return self._whole().headers

    @property
    def timestamp(self) -> datetime:
        return self._columns.appended_at

    @property
    def problem(self) -> str | None:
        return None  # a batch that cannot be read has no columns

    def _whole(self) -> RecordLike:
        return self._columns.item(self._place)


def plain_columns(records: RecordColumns, shop_timezone: ZoneInfo) -> PlainColumns | None:
    """The events in these records, which have the form EVENT_FORM; or None where one of them is not plainly good.

    Never raises; the same records always give the same events.
    """
    column = records.column
    named = set(column("ce_source"))
    sources = {name: source for name in named if (source := source_of(name)) is not None}
    accepted = {stated: acceptance_of(stated, records.appended_at) for stated in set(column("ce_time"))}
    try:
        happened_us = _moments(column("event_timestamp"))
        event_types = list(map(_TYPES.__getitem__, column("event_type")))
    except (KeyError, ValueError):  # no such type, no such day
        return None
    user_ids = list(map(int, column("user_id")))
    product_ids = [int(key) if key else None for key in column("product_id")]
    if (
        max(user_ids) > MAX_ID
        or max(filter(None, product_ids), default=0) > MAX_ID
        or len(sources) < len(named)
    ):
        return None
    earliest_us = min(map(itemgetter(1), accepted.values()))
    if min(happened_us) < EARLIEST_US or max(happened_us) > earliest_us + AHEAD_US:
        return None
    return PlainColumns(
        records,
        _ids(column("event_id")),
        user_ids,
        event_types,
        product_ids,
        happened_us,
        list(map(sources.__getitem__, column("ce_source"))),
        list(map(accepted.__getitem__, column("ce_time"))),
        shop_timezone,
    )


def _ids(texts: Sequence[bytes]) -> list[bytes]:
    """The bytes of UUIDs, of which the form says what they look like."""
    return one_by_one(bytes.fromhex(b"".join(texts).replace(b"-", b"").decode()))


def _moments(texts: Sequence[bytes]) -> list[int]:
    """Microseconds since 1970. Raises ValueError for a day or an hour that does not exist."""
    return microseconds_of_all(map(datetime.fromisoformat, b"\n".join(texts).decode().split("\n")))
