"""The headers of a request's records. They differ in id and position only, so the rest is made once."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from uuid import UUID

from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import headers_for, time_header
from tillstream.kafka.records import header_bytes_of

_FRAMES_KEPT = 1_024  # sources; a process meets few of them, again and again
MOST_POSITION = 10**9  # far more than a body has items
_NO_ID = UUID(int=0)
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)

Headers = list[tuple[str, bytes]]


@lru_cache(maxsize=_FRAMES_KEPT)
def _frame(entity: Entity, source: str) -> tuple[Headers, int]:
    """Headers whose id, time and position are still to be set, and the bytes that they take at most."""
    headers = headers_for(
        message_id=_NO_ID, entity=entity, source=source, accepted_at=_NO_TIME, position=MOST_POSITION
    )
    return headers, header_bytes_of(headers)


_NAMES = [name for name, _ in _frame(Entity.EVENT, "")[0]]
_ID_AT, _TIME_AT, _POSITION_AT = (_NAMES.index(name) for name in ("ce_id", "ce_time", "ce_sequence"))


class RequestHeaders:
    """`of` gives what `headers_for` would, at a sixth of its cost; `most_bytes` is what they take in a batch at most."""

    def __init__(self, entity: Entity, source: str, accepted_at: datetime) -> None:
        frame, self.most_bytes = _frame(entity, source)
        self._frame = frame.copy()
        self._frame[_TIME_AT] = time_header(accepted_at)

    def of(self, message_id: str, position: int) -> Headers:
        """`message_id` is the canonical text of a UUID."""
        headers = self._frame.copy()
        headers[_ID_AT] = ("ce_id", message_id.encode())
        headers[_POSITION_AT] = ("ce_sequence", b"%d" % position)
        return headers

    def of_all(self, message_ids: Sequence[str], start: int) -> Iterator[Headers]:
        """The same for many ids, whose positions count from `start`."""
        return map(self.of, message_ids, count(start))
