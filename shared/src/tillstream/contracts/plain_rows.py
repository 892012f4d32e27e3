"""Rows of files in plain form, read without a detour over the rules: many times as fast.

Nothing here decides what is allowed. Whatever is not plainly good is left to `csv_rows.row_message`, and every plain row can be
given to it as well; a property test holds the two against each other. Rows are read in columns, so that the loops run in C.
"""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import compress
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo

from tillstream.contracts.csv_rows import JobFacts
from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import event_ids, resolve_event_id, row_event_id, row_message_ids
from tillstream.contracts.messages import microseconds
from tillstream.contracts.records import HASH_BYTES
from tillstream.contracts.rules import AHEAD, EARLIEST, EVENT_TYPES, ORDER_STATUSES, UPDATE_AHEAD
from tillstream.contracts.shop_days import start_of_day

DAYS_REMEMBERED = 4_096
_DATE_CHARS = 10
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - plain times are in UTC and carry no zone
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST_US = microseconds(EARLIEST)

# Narrower than the rules: 18 digits at most, years from 2000 to 2099, no offset but Z, ids of visible ASCII.
_ID = "[1-9][0-9]{0,17}"
_DATE = "20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = rf"{_DATE}(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{{1,6}})?)?Z?)?"
_AMOUNT = r"(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,2})?"
_NAME = "(?:(?!{mark})[!#-~]){{1,320}}"
_CELLS: Final[Mapping[str, str]] = {
    "order_id": _ID,
    "user_id": _ID,
    "product_id": _ID,
    "order_date": _TIME,
    "event_timestamp": _TIME,
    "updated_at": _TIME,
    "status": "|".join(ORDER_STATUSES),
    "event_type": "|".join(EVENT_TYPES),
    "total_amount": _AMOUNT,
}
_REQUIRED: Final[Mapping[Entity, AbstractSet[str]]] = {
    Entity.ORDER: {"order_id", "user_id", "order_date", "status", "total_amount"},
    Entity.EVENT: {"user_id", "event_type", "event_timestamp"},
}
_OPTIONAL: Final[Mapping[Entity, AbstractSet[str]]] = {
    Entity.ORDER: {"updated_at"},
    Entity.EVENT: {"event_id", "product_id", "updated_at"},
}
# The canonical JSON of what is hashed, as `records.content_hash` writes it.
_ORDER_JSON = '{"order_id":%s,"user_id":%s,"order_date":"%s","status":"%s","total_amount":%s%s}'
_EVENT_JSON = '{"user_id":%s,"event_type":"%s"%s,"event_timestamp":"%s"}'

type Columns = Mapping[str, Sequence[str]]


def plain_line(entity: Entity, columns: Sequence[str], separator: str) -> re.Pattern[str] | None:
    """What a plain line of such a file looks like, its bytes read as Latin-1, without its LF; a group for each column.

    None for files whose rows all go the long way.
    """
    required, optional = _REQUIRED.get(entity, set()), _OPTIONAL.get(entity, set())
    if not required or not required <= set(columns) <= required | optional:
        return None
    mark = re.escape(separator)
    cells = []
    for name in columns:
        pattern = _NAME.format(mark=mark) if name == "event_id" else _CELLS[name]
        cells.append(f"({pattern}|)" if name in optional else f"({pattern})")
    return re.compile(mark.join(cells) + r"\r?")


@dataclass(frozen=True, slots=True)
class PlainRows:
    """Good rows of one file, in columns of equal length; no key and no id is there twice. Times in microseconds since 1970.

    `lines` are the physical ones, ascending. `ids` are the message ids, of events their own. Orders have `keys`, `kinds` (the
    status), `cents`, `updated` and `hashes` (of the canonical content); events have `kinds` (the type) and `products`. The columns
    of the other entity are empty; what is absent in a row is None.
    """

    entity: Entity
    lines: Sequence[int] = ()
    ids: Sequence[bytes] = ()
    users: Sequence[int] = ()
    kinds: Sequence[str] = ()
    happened: Sequence[int] = ()
    keys: Sequence[int] = ()
    cents: Sequence[int] = ()
    updated: Sequence[int | None] = ()
    hashes: Sequence[bytes] = ()
    products: Sequence[int | None] = ()

    def __len__(self) -> int:
        return len(self.lines)

    def without(self, lines: AbstractSet[int]) -> Self:
        """All but those on these lines."""
        if not lines:
            return self
        keep = [line not in lines for line in self.lines]
        columns: dict[str, Any] = {
            name: list(compress(getattr(self, name), keep)) for name in _COLUMNS_OF_ROWS
        }
        return replace(self, **columns)


_COLUMNS_OF_ROWS = tuple(each.name for each in fields(PlainRows) if each.name != "entity")


class _Times(NamedTuple):
    """A column of times, in UTC and without a zone, also in microseconds since 1970; None where there is none, or a wrong one."""

    moments: Sequence[datetime | None]
    us: Sequence[int | None]
    wrong: set[int]

    @property
    def known(self) -> list[int]:
        """Where every row has one."""
        return [at for at in self.us if at is not None]

    def json(self, form: str) -> list[str]:
        """Each one written into `form`, and nothing for none."""
        return ["" if each is None else form % each.isoformat() for each in self.moments]


class PlainRowReader:
    """Makes the plain rows of one job out of the cells that `plain_line` found. The same cells always give the same row."""

    def __init__(
        self, entity: Entity, columns: Sequence[str], job: JobFacts, shop_timezone: ZoneInfo
    ) -> None:
        self._entity = entity
        self._columns = columns
        self._job = job
        self._shop_timezone = shop_timezone
        latest = microseconds(job.claimed_at + AHEAD)
        latest_update = microseconds(job.claimed_at + UPDATE_AHEAD)
        self._latest = {"order_date": latest, "event_timestamp": latest, "updated_at": latest_update}

    def read(self, lines: Sequence[int], cells: Sequence[Sequence[str]]) -> PlainRows:
        """The plain ones of these rows. Left out are those with a day that is none or a time out of bounds, and all that share
        a key, or an id."""
        if not lines:
            return PlainRows(self._entity)
        columns = dict(zip(self._columns, zip(*cells, strict=True), strict=True))
        times = {name: self._times(name, columns[name]) for name in self._latest if name in columns}
        wrong = set[int]().union(*(each.wrong for each in times.values()))
        if wrong:
            keep = [place not in wrong for place in range(len(lines))]
            return self.read(list(compress(lines, keep)), list(compress(cells, keep)))
        make = self._orders if self._entity is Entity.ORDER else self._events
        rows = make(lines, columns, times)
        return rows.without(_repeated(rows.lines, rows.keys or rows.ids))

    def _orders(self, lines: Sequence[int], columns: Columns, times: Mapping[str, _Times]) -> PlainRows:
        dates, updates = times["order_date"], times.get("updated_at", _no_times(len(lines)))
        amounts = list(map(_two_places, columns["total_amount"]))
        texts = zip(
            columns["order_id"],
            columns["user_id"],
            dates.json("%sZ"),
            columns["status"],
            amounts,
            updates.json(',"updated_at":"%sZ"'),
            strict=True,
        )
        return PlainRows(
            Entity.ORDER,
            lines,
            row_message_ids(self._job.job_id, lines),
            users=list(map(int, columns["user_id"])),
            kinds=columns["status"],
            happened=dates.known,
            keys=list(map(int, columns["order_id"])),
            cents=[int(amount.replace(".", "")) for amount in amounts],
            updated=updates.us,
            hashes=[_hash(_ORDER_JSON % each) for each in texts],
        )

    def _events(self, lines: Sequence[int], columns: Columns, times: Mapping[str, _Times]) -> PlainRows:
        products = columns.get("product_id") or [""] * len(lines)
        return PlainRows(
            Entity.EVENT,
            lines,
            self._event_ids(columns, times["event_timestamp"], products),
            users=list(map(int, columns["user_id"])),
            kinds=columns["event_type"],
            happened=times["event_timestamp"].known,
            products=[int(each) if each else None for each in products],
        )

    def _event_ids(self, columns: Columns, times: _Times, products: Sequence[str]) -> list[bytes]:
        """Its own, or one made of its content where it has none."""
        source = self._job.source
        named = columns.get("event_id")
        if named and all(named):
            return event_ids(source, named)
        texts = zip(
            columns["user_id"],
            columns["event_type"],
            [f',"product_id":{each}' if each else "" for each in products],
            times.json("%sZ"),
            strict=True,
        )
        made = [row_event_id(source, _hash(_EVENT_JSON % each)).bytes for each in texts]
        if not named:
            return made
        return [
            resolve_event_id(source, name).bytes if name else other
            for name, other in zip(named, made, strict=True)
        ]

    def _times(self, name: str, texts: Sequence[str]) -> _Times:
        moments, wrong = self._moments(texts)
        us = [None if each is None else (each - _EPOCH) // _MICROSECOND for each in moments]
        known, latest = list(filter(None, us)), self._latest[name]
        if known and (min(known) < _EARLIEST_US or max(known) > latest):
            wrong |= {place for place, at in enumerate(us) if at and not _EARLIEST_US <= at <= latest}
        return _Times(moments, us, wrong)

    def _moments(self, texts: Sequence[str]) -> tuple[list[datetime | None], set[int]]:
        """Each one, and the places of those that do not exist."""
        try:
            return [self._moment(text) for text in texts], set()
        except ValueError:
            moments = [self._moment_or_none(text) for text in texts]
            return moments, {place for place, text in enumerate(texts) if text and moments[place] is None}

    def _moment(self, text: str) -> datetime | None:
        """Raises ValueError for a day that is none."""
        if len(text) > _DATE_CHARS:
            return datetime.fromisoformat(text.rstrip("Z"))
        return _day(text, self._shop_timezone) if text else None

    def _moment_or_none(self, text: str) -> datetime | None:
        try:
            return self._moment(text)
        except ValueError:
            return None


@lru_cache(maxsize=DAYS_REMEMBERED)
def _day(text: str, shop_timezone: ZoneInfo) -> datetime:
    """The start of a day of the shop."""
    return start_of_day(date.fromisoformat(text), shop_timezone).replace(tzinfo=None)


def _no_times(count: int) -> _Times:
    return _Times([None] * count, [None] * count, set())


def _two_places(amount: str) -> str:
    whole, _, places = amount.partition(".")
    return f"{whole}.{places:0<2}"


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=HASH_BYTES).digest()


def _repeated(lines: Sequence[int], keys: Sequence[Hashable]) -> set[int]:
    """The lines whose key stands on another one too."""
    if len(set(keys)) == len(keys):
        return set()
    counts = Counter(keys)
    return {line for line, key in zip(lines, keys, strict=True) if counts[key] > 1}
