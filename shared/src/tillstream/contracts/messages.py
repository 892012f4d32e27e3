"""A message: one change on its way from a door to the tables."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from struct import Struct
from typing import Any
from uuid import UUID

from tillstream.contracts.entities import Entity
from tillstream.contracts.reasons import Reason

_VERSION = Struct(">qqq16s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# As functions in C: what is given, less the epoch; what is given, in microseconds.
_since_epoch: Callable[[datetime], timedelta] = attrgetter("__rsub__")(_EPOCH)
_in_microseconds: Callable[[timedelta], int] = attrgetter("__rfloordiv__")(timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record was not accepted. `message` is one sentence that names the field and the rule."""

    reason: Reason
    message: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message was read: a place in Kafka, or a line of a file job. The other half is None."""

    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    job_id: UUID | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One change. Exactly one of `content` (checked fields) and `refusal` is set.

    `content_hash` (16 bytes) is over the canonical content, or over `payload` where there is none.
    `payload` is what arrived, byte for byte. `version` sorts as bytes: see `pack_version`.
    A `correction` (a row of a rejects file, a replay) may be applied although its id was quarantined before; what is
    `woken` is the very message that waited. Either closes the entry that kept it.
    """

    entity: Entity
    message_id: UUID
    source: str
    accepted_at: datetime
    version: bytes
    content_hash: bytes
    payload: bytes
    origin: Origin
    content: dict[str, Any] | None = None
    refusal: Refusal | None = None
    correction: bool = False
    woken: bool = False

    @property
    def id_bytes(self) -> bytes:
        """The message id as 16 bytes, by which copies are found."""
        return self.message_id.bytes


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00Z, without a detour over floats."""
    return _in_microseconds(moment - _EPOCH)


def microseconds_of_all(moments: Iterable[datetime]) -> list[int]:
    """The same of each, without a step of Python for it."""
    return list(map(_in_microseconds, map(_since_epoch, moments)))


def pack_version(at: datetime, accepted_at: datetime, position: int, message_id: UUID) -> bytes:
    """The 40 bytes by which two changes of one row are compared.

    `at` is `updated_at`, else the moment of acceptance (for a file: else its `as_of`, else its claim time).
    Ties fall to the moment of acceptance, then to the position in the request or file, then to the message id.
    All three numbers are ≥ 0 (times are refused before 2000), so the big-endian bytes sort as the tuple does.
    """
    accepted = microseconds(accepted_at)
    return _VERSION.pack(
        accepted if at is accepted_at else microseconds(at), accepted, position, message_id.bytes
    )
