"""How much one poll asks for, so that it fits: aiokafka counts what it hands out, and here those are parts of many records."""

from collections.abc import Sequence
from itertools import accumulate, chain, groupby

from tillstream.kafka.log_columns import Block
from tillstream.kafka.records import Place, Record, bytes_of, bytes_of_all

# About; a poll and the reading of it take a few milliseconds. In between, whoever applies the batch before can send its
# next statement: else all of the next would be fetched before PostgreSQL has begun, and nothing would overlap.
POLL_RECORDS = 250
# After a time of few records a backlog may come, and each part be a block: as many are read before the rest is cut off.
MOST_PARTS = 16
FIRST_GUESS_BYTES = 1024 * 1024  # of a part, before any was seen: the most that a record may have
FORGET = 8  # how much smaller parts may look from one poll to the next


class PollSize:
    """Learns from every poll what parts are like at present. It believes at once that they are larger, and only step by
    step that they are smaller: what is too large has to be fetched again, what is too small costs a call."""

    def __init__(self) -> None:
        self._bytes = FIRST_GUESS_BYTES
        self._records = POLL_RECORDS

    def __repr__(self) -> str:
        return f"<PollSize: {self._records} records and {self._bytes} bytes a part>"

    def parts(self, left_records: int, left_bytes: int) -> int:
        """How many to ask for next; none where one would be more than what is left."""
        if self._records > left_records or self._bytes > left_bytes:
            return 0
        fitting_parts = min(left_records // self._records, left_bytes // self._bytes)
        return max(1, min(POLL_RECORDS // self._records, fitting_parts, MOST_PARTS))

    def learn(self, polled: Sequence[Sequence[Record]]) -> int:
        """Bytes of these parts (≥ 1)."""
        sizes = list(map(_bytes_of, polled))
        self._bytes = max(*sizes, self._bytes // FORGET, 1)
        self._records = max(*map(len, polled), self._records // FORGET, 1)
        return sum(sizes)


def merged(parts: Sequence[Sequence[Record]]) -> list[Sequence[Record]]:
    """Lists that follow each other become one: batches of few records are read together."""
    found: list[Sequence[Record]] = []
    for are_lists, some in groupby(parts, key=lambda part: isinstance(part, list)):
        alike = list(some)
        found += [list(chain.from_iterable(alike))] if are_lists else alike
    return found


def fitting(parts: Sequence[Sequence[Record]], max_records: int, max_bytes: int) -> list[Sequence[Record]]:
    """The parts that come before one of the limits is passed. Of the first one, the records until one reaches a limit."""
    kept: list[Sequence[Record]] = []
    for part in parts:
        size = _bytes_of(part)
        max_records, max_bytes = max_records - len(part), max_bytes - size
        if max_records < 0 or max_bytes < 0:
            return kept or [_cut(part, max_records + len(part), max_bytes + size)]
        kept.append(part)
    return kept


def left_behind(parts: Sequence[Sequence[Record]], kept: Sequence[Sequence[Record]]) -> dict[Place, int]:
    """Where to go on with each place of which `fitting` has not kept everything."""
    last = len(kept) - 1
    dropped = [(parts[last], len(kept[last])), *((part, 0) for part in parts[last + 1 :])]
    back: dict[Place, int] = {}
    for part, begin in reversed(dropped):
        # Of a block the first record is enough; a list may have those of several places.
        end = begin + 1 if isinstance(part, Block) else len(part)
        back |= {record.place: record.offset for record in reversed(part[begin:end])}
    return back


def _cut(part: Sequence[Record], max_records: int, max_bytes: int) -> Sequence[Record]:
    """What fits, the record that reaches a limit included."""
    sizes = accumulate(map(bytes_of, part))
    count = next((at for at, size in enumerate(sizes, 1) if size >= max_bytes), len(part))
    return part[: min(count, max_records)]


def _bytes_of(part: Sequence[Record]) -> int:
    return part.size if isinstance(part, Block) else bytes_of_all(part)
