"""The third door: one row of a CSV file as an item, and as a message."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NotRequired, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from tillstream.contracts.arrivals import Arrival, arrived, refused
from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import row_event_id, row_message_id
from tillstream.contracts.messages import Message, Origin, Refusal
from tillstream.contracts.parsing import whole_number
from tillstream.contracts.records import FIELDS, RECORD_TYPES
from tillstream.contracts.rules import Id, Quantity, Rules

_NOT_IN_FILES = frozenset({"items"})
_WHOLE_TYPES: tuple[Any, ...] = (Id, NotRequired[Id], Quantity)
_WHOLE_FIELDS = {
    entity: frozenset(name for name, kind in record.__annotations__.items() if kind in _WHOLE_TYPES)
    for entity, record in RECORD_TYPES.items()
}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)").fullmatch


class JobFacts(Protocol):
    """What a row takes from its file job: `contracts.files.FileJob`, or the loader's own row."""

    @property
    def job_id(self) -> UUID: ...
    @property
    def source(self) -> str: ...
    @property
    def as_of(self) -> datetime | None: ...
    @property
    def claimed_at(self) -> datetime: ...


def csv_columns(entity: Entity) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the required and of the optional columns, in declared order. The items of an order have no column."""
    names = [name for name in FIELDS[entity] if name not in _NOT_IN_FILES]
    required: frozenset[str] = RECORD_TYPES[entity].__required_keys__
    return tuple(n for n in names if n in required), tuple(n for n in names if n not in required)


def from_csv(entity: Entity, cells: Mapping[str, str]) -> dict[str, object]:
    """The cells of a row as an item for `check`: what a JSON client would have sent.

    An empty cell is an absent field. A whole-number field becomes a number only where its text is a JSON integer;
    anything else stays as it is written and is refused by the rule that refuses it in JSON.
    """
    whole = _WHOLE_FIELDS[entity]
    return {
        name: whole_number(cell) if name in whole and _WHOLE(cell) else cell
        for name, cell in cells.items()
        if cell
    }


def row_message(
    entity: Entity,
    cells: Mapping[str, str],
    *,
    payload: bytes,
    job: JobFacts,
    line: int,
    shop_timezone: ZoneInfo,
) -> Message:
    """The message of one row. Never raises for what the cells hold: a refusal instead.

    Its version begins with `updated_at`, else the file's `as_of`, else its claim time; `accepted_at` is the claim time
    and the position the line. Ids: an event's own id under the job's source, else one made from its content; of any
    other row, and of a refused event without a readable id, one made from job and line.
    """
    arrival = _arrival(entity, payload, job, line, shop_timezone)

    def other_id(digest: bytes | None) -> UUID:
        if entity is Entity.EVENT and digest is not None:
            return row_event_id(job.source, digest)
        return row_message_id(job.job_id, line)

    return arrived(arrival, from_csv(entity, cells), other_id)


def refused_row(
    entity: Entity,
    refusal: Refusal,
    *,
    payload: bytes,
    job: JobFacts,
    line: int,
    shop_timezone: ZoneInfo,
) -> Message:
    """The message of a row that has no cells to check: ragged, or not UTF-8; or that repeats a key of its file."""
    arrival = _arrival(entity, payload, job, line, shop_timezone)
    return refused(arrival, refusal, row_message_id(job.job_id, line))


def _arrival(entity: Entity, payload: bytes, job: JobFacts, line: int, shop_timezone: ZoneInfo) -> Arrival:
    return Arrival(
        entity=entity,
        source=job.source,
        rules=Rules(job.claimed_at, shop_timezone),
        version_at=job.as_of or job.claimed_at,
        position=line,
        payload=payload,
        origin=Origin(job_id=job.job_id, line=line),
    )
