"""The reject-share alarm: a partition of whose last records too many broke their contract is stopped.

What is counted, and what is not:

- A record counts as broken when it carries a refusal, which is decided by its contract alone. What is parked, comes twice
  or conflicts with another record kept its contract.
- Nothing counts before its commit. `weigh` only says what a batch would come to, and may be asked again after a rollback;
  `count` takes that over. A batch whose commit is in doubt is counted once the fence says that it happened.
- A record counts once. After a rewind, or where a partition is taken over again, what was counted comes again with smaller
  offsets and is passed over: else 400 bad records that are read twice would look like 800.
- What happened elsewhere does not count. When at least a window of offsets was passed over (another worker had the
  partition meanwhile), nothing of what was counted belongs to the last records any more, and the count begins anew. A
  smaller hole does not begin it anew, so that a producer cannot evade the alarm with holes.
- A stop ends its count. A stopped partition brings nothing until it is resumed, so the count after a resume begins at
  zero. Where it goes on in another process, that one has counted nothing yet.

Shares are looked at after every tenth of a window, counted from where the count began. So the alarm depends on the
records, not on how they were cut into batches, and a partition takes ten small numbers, however large its window is.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

import structlog

from tillstream.contracts.messages import Message
from tillstream.contracts.parts import parts_of
from tillstream.contracts.plain_columns import PlainColumns
from tillstream.contracts.plain_events import PlainEvent
from tillstream.kafka.records import Place

SLICES = 10  # of a window
DEFAULT_SHARE = 0.5
DEFAULT_RECORDS = 1_000

type Read = Message | PlainEvent

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AlarmPolicy:
    """More than `share` of the last `records` (rounded up to a multiple of ten) are too many; a share of 1 never is."""

    share: float = DEFAULT_SHARE
    records: int = DEFAULT_RECORDS

    @property
    def slice_records(self) -> int:
        return -(-self.records // SLICES)

    @property
    def window_records(self) -> int:
        return self.slice_records * SLICES

    def is_too_many(self, broken: int) -> bool:
        """Of a whole window."""
        return broken > self.share * self.window_records


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted of one partition: the broken records of each full slice, oldest first, and of the one begun."""

    counted_to: int
    slices: tuple[int, ...] = ()
    begun: int = 0
    broken: int = 0

    def after(self, broken: bytes, next_offset: int, policy: AlarmPolicy) -> "tuple[Window, int | None]":
        """This window some records later, a 1 in `broken` for each that broke its contract; and, where at any slice's
        end too many of a window had done so, how many."""
        slices = deque(self.slices, maxlen=SLICES)
        begun, bad, too_many = self.begun, self.broken, None
        at = 0
        while at < len(broken):
            part = broken[at : at + policy.slice_records - begun]
            at, begun, bad = at + len(part), begun + len(part), bad + sum(part)
            if begun < policy.slice_records:
                break
            slices.append(bad)
            begun = bad = 0
            if len(slices) == SLICES and policy.is_too_many(sum(slices)):
                too_many = sum(slices)
        return Window(next_offset, tuple(slices), begun, bad), too_many


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a batch comes to, once it is committed. `stop` names the partitions that must not go on, and why."""

    windows: Mapping[Place, Window]
    stop: dict[Place, str] = field(default_factory=dict)


class RejectAlarm:
    """One per process; it knows the partitions that it has counted since the process began."""

    def __init__(self, policy: AlarmPolicy = AlarmPolicy()) -> None:
        self._policy = policy
        self._windows: dict[Place, Window] = {}

    def __repr__(self) -> str:
        return f"<RejectAlarm above {self._policy.share:.0%}: {len(self._windows)} partitions>"

    def weigh(self, messages: Sequence[Read]) -> Weighed:
        """What these records, in the order of their offsets, would come to. Changes nothing; `count` does."""
        windows: dict[Place, Window] = {}
        too_many: dict[Place, int] = {}
        for place, run in _runs(messages):
            first, end = _offset(run[0]), _offset(run[-1]) + 1
            window = windows.get(place) or self._window(place, first)
            if first < window.counted_to:
                run = run[bisect_left(run, window.counted_to, key=_offset) :]  # noqa: PLW2901 - it replaces the run
            windows[place], found = window.after(_broken(run), max(end, window.counted_to), self._policy)
            if found is not None:
                too_many[place] = found
        for place in too_many:
            windows[place] = Window(windows[place].counted_to)
        return Weighed(windows, {place: self._reason(found) for place, found in too_many.items()})

    def count(self, weighed: Weighed) -> None:
        """The batch was committed."""
        self._windows.update(weighed.windows)
        for place, reason in weighed.stop.items():
            _log.error(
                "A partition is stopped until an operator resumes it.", partition=str(place), reason=reason
            )

    def _window(self, place: Place, first: int) -> Window:
        window = self._windows.get(place)
        is_current = window is not None and first - window.counted_to < self._policy.window_records
        return window if window is not None and is_current else Window(first)

    def _reason(self, broken: int) -> str:
        return (
            f"{broken} of {self._policy.window_records} records in a row broke their contract; "
            f"more than {self._policy.share:.0%} is too many."
        )


def _runs(messages: Sequence[Read]) -> Iterator[tuple[Place, Sequence[Read]]]:
    """Neighbours of one partition, together. Plain events, which are most, are told apart without Python's help."""
    for part in parts_of(messages):
        if isinstance(part, PlainColumns):
            yield Place(part.records.topic, part.records.partition), part
            continue
        for kind, alike in groupby(part, key=type):
            key = _partition_of_event if kind is PlainEvent else _place
            for _, run in groupby(alike, key=key):
                read = list(run)
                yield _place(read[0]), read


_partition_of_event = attrgetter("record.partition")


def _place(message: Read) -> Place:
    if isinstance(message, PlainEvent):
        return Place(message.record.topic, message.record.partition)
    topic, partition = message.origin.topic, message.origin.partition
    assert topic is not None, "the worker reads from Kafka"
    assert partition is not None, "the worker reads from Kafka"
    return Place(topic, partition)


def _offset(message: Read) -> int:
    offset = message.record.offset if isinstance(message, PlainEvent) else message.origin.offset
    assert offset is not None, "the worker reads from Kafka"
    return offset


def _broken(run: Sequence[Read]) -> bytes:
    if run and isinstance(run[0], PlainEvent):  # and so are all the others: a run is of one kind
        return bytes(len(run))
    return bytes(not isinstance(each, PlainEvent) and each.refusal is not None for each in run)
