"""How many records one poll asks for, so that their bytes fit: aiokafka counts records only."""

import random
from collections.abc import Sequence
from itertools import accumulate, chain
from operator import attrgetter

from tillstream.kafka.records import Record, bytes_of, header_bytes

# At most; a poll and the reading of it take a few milliseconds. In between, whoever applies the batch before can send its
# next statement: else all of the next would be fetched before PostgreSQL has begun, and nothing would overlap.
POLL_RECORDS = 250
FIRST_GUESS_BYTES = 1024 * 1024  # of a record, before any was seen: the most that a record may have
FORGET = 8  # how much smaller records may look from one poll to the next
# Of as many records, the headers of one are looked at: those of all would cost as much as decoding.
HEADERS_SAMPLED = 16

_values, _keys = attrgetter("value"), attrgetter("key")


class PollSize:
    """Learns from every poll what records are like at present. It believes at once that they are larger, and only step by
    step that they are smaller: one that is too large has to be fetched again, one that is too small costs a call."""

    def __init__(self) -> None:
        self._record_bytes = FIRST_GUESS_BYTES

    def __repr__(self) -> str:
        return f"<PollSize: {self._record_bytes} bytes a record>"

    def records(self, left_bytes: int) -> int:
        """How many to ask for next (≥ 1)."""
        return max(1, min(POLL_RECORDS, left_bytes // self._record_bytes))

    def learn(self, polled: Sequence[Record]) -> int:
        """Bytes of these records (≥ 1 record), nearly: their headers are sampled."""
        parts = chain(map(_values, polled), map(_keys, polled))
        size = sum(map(len, filter(None, parts)))
        sample = polled[random.randrange(HEADERS_SAMPLED) :: HEADERS_SAMPLED]  # noqa: S311 - guards no secret
        size += HEADERS_SAMPLED * sum(map(header_bytes, sample))
        self._record_bytes = max(size // len(polled), self._record_bytes // FORGET, 1)
        return size


def fitting(records: Sequence[Record], max_bytes: int) -> int:
    """How many of these there are until `max_bytes` are reached, the one that reaches it included."""
    sizes = accumulate(map(bytes_of, records))
    return next((at for at, size in enumerate(sizes, 1) if size >= max_bytes), len(records))
