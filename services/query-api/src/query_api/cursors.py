"""Page cursors: where the next page begins, opaque to clients.

A cursor is base64url without padding of a JSON array: the list it belongs to, then the key of the last row shown. It holds
nothing secret and grants nothing, so it is not signed; whatever is not exactly what this service would write is refused.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from query_api.database import Row
from query_api.failures import BadParameter
from tillstream.contracts.rules import MAX_ID

MAX_CURSOR_CHARS = 200

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]

type OrdersKey = tuple[Literal["orders"], _Moment, _Id]
type JobsKey = tuple[Literal["jobs"], _Moment, UUID]
type QuarantineKey = tuple[Literal["quarantine"], _Id]
type ParkedKey = tuple[Literal["parked"], Literal["order", "product", "user"], _Id, UUID]
type CursorKey = OrdersKey | JobsKey | QuarantineKey | ParkedKey


def encode_cursor(key: CursorKey) -> str:
    """The cursor of the page after `key`."""
    return urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def cut_page(rows: list[Row], limit: int, key: Callable[[Row], CursorKey]) -> tuple[list[Row], str | None]:
    """The rows of a page out of up to `limit` + 1 that were read, and the cursor of the page after it, null on the last one."""
    shown = rows[:limit]
    return shown, encode_cursor(key(shown[-1])) if len(rows) > limit else None


def orders_key(cursor: str) -> OrdersKey:
    """What `encode_cursor` was given. Raises BadParameter for anything else."""
    return _decode(cursor, _ORDERS)


def jobs_key(cursor: str) -> JobsKey:
    """What `encode_cursor` was given. Raises BadParameter for anything else."""
    return _decode(cursor, _JOBS)


def quarantine_key(cursor: str) -> QuarantineKey:
    """What `encode_cursor` was given. Raises BadParameter for anything else."""
    return _decode(cursor, _QUARANTINE)


def parked_key(cursor: str) -> ParkedKey:
    """What `encode_cursor` was given. Raises BadParameter for anything else."""
    return _decode(cursor, _PARKED)


_ORDERS: msgspec.json.Decoder[OrdersKey] = msgspec.json.Decoder(OrdersKey)
_JOBS: msgspec.json.Decoder[JobsKey] = msgspec.json.Decoder(JobsKey)
_QUARANTINE: msgspec.json.Decoder[QuarantineKey] = msgspec.json.Decoder(QuarantineKey)
_PARKED: msgspec.json.Decoder[ParkedKey] = msgspec.json.Decoder(ParkedKey)


def _decode[Key: CursorKey](cursor: str, decoder: msgspec.json.Decoder[Key]) -> Key:
    try:
        key = decoder.decode(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (UnicodeError, binascii.Error, msgspec.DecodeError):
        raise _forged() from None
    if encode_cursor(key) != cursor:
        raise _forged()
    return key


def _forged() -> BadParameter:
    return BadParameter("cursor", "is not one that this list handed out")
