"""What this process owns: the epoch and the next offset of every place, and what a fetch means for them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from tillstream.contracts.parts import joined, parts_of
from tillstream.kafka.fence import Move, Position
from tillstream.kafka.last_records import LastRecords, id_of
from tillstream.kafka.log_columns import Block
from tillstream.kafka.progress import Measure
from tillstream.kafka.records import Place, Record

_PLACE = attrgetter("partition", "topic")


class Holdings:
    """Belongs to one consumer loop. Stopped places are owned but yield nothing; lost ones were, and another took them."""

    def __init__(self) -> None:
        self._epochs: dict[Place, int] = {}
        self._next: dict[Place, int] = {}
        self._stored_at: dict[Place, datetime] = {}
        self._doubted_gaps: dict[Place, int] = {}
        self._last_records = LastRecords()
        self.stopped: set[Place] = set()
        self.lost: set[Place] = set()

    def __repr__(self) -> str:
        return f"<Holdings: {len(self._next)} places, {len(self.stopped)} of them stopped>"

    def __bool__(self) -> bool:
        return bool(self._next)

    @property
    def epochs(self) -> Mapping[Place, int]:
        return self._epochs

    @property
    def next_offsets(self) -> Mapping[Place, int]:
        return self._next

    @property
    def running(self) -> set[Place]:
        """What should move: owned and not stopped."""
        return self._next.keys() - self.stopped

    def take(self, positions: Mapping[Place, Position], starts: Mapping[Place, int]) -> None:
        """Own these places and no others; `starts` is where their logs begin."""
        self.clear()
        self._epochs = {place: position.epoch for place, position in positions.items()}
        self._next = {place: position.next_offset for place, position in positions.items()}
        self._last_records.expect(positions, starts)

    def seek_offset(self, place: Place) -> int:
        """Where to read on: at the next offset, or at the one before it until that one was seen in this ownership."""
        return self._next[place] - self._last_records.steps_back(place)

    def lose(self, places: Collection[Place]) -> None:
        self._last_records.forget(places)
        for place in places:
            self.lost.add(place)
            self._epochs.pop(place, None)
            self._next.pop(place, None)
            self.stopped.discard(place)

    def clear(self) -> None:
        self._epochs.clear()
        self._next.clear()
        self._stored_at.clear()
        self._doubted_gaps.clear()
        self._last_records.expect({}, {})
        self.stopped.clear()
        self.lost.clear()

    def expected(self, records: Sequence[Record]) -> tuple[Sequence[Record], set[Place]]:
        """The records that come next, and the places that must be sought again because something is missing before them.

        Nothing of ours writes transactions and no topic is compacted, so a hole is rather the client's mistake than the
        log's, and the place is sought again. If it is there again, the broker says so: asked for the very offset that is
        missing, it answered with a later one. Nothing that it has is skipped then, and what retention took does not look
        like this, for a fetch from before a log's start fails. Raises Misconfigured where the last record applied is not
        the one that was.
        """
        wanted: list[Sequence[Record]] = []
        again: set[Place] = set()
        upcoming = dict(self._next)
        for run in _runs(records):
            place = run[0].place
            start = upcoming.get(place)
            if start is None or place in self.stopped or place in again:
                continue
            self._last_records.compare(run)
            if run[0].offset < start:
                run = [record for record in run if record.offset >= start]  # noqa: PLW2901 - it replaces the run
                if not run:
                    continue
            until = self._first_doubt(run, start)
            if until < len(run):
                again.add(place)
            if until:
                upcoming[place] = run[until - 1].next_offset
                wanted.append(run[:until])
        if sum(map(len, wanted)) == len(records):
            return records, again
        return joined(wanted), again

    def _first_doubt(self, run: Sequence[Record], start: int) -> int:
        """How many records of a run come before the first hole that was not seen before; without one, all of them.

        A batch that cannot be read has one record, at its last offset: what is missing within it is no hole.
        """
        if run[-1].offset - start + 1 == len(run):
            return len(run)
        upcoming = start
        for index, record in enumerate(run):
            begins_at = record.offset if record.first_offset is None else record.first_offset
            if (
                not begins_at <= upcoming <= record.offset
                and self._doubted_gaps.get(record.place) != upcoming
            ):
                self._doubted_gaps[record.place] = upcoming
                return index
            upcoming = record.next_offset
        return len(run)

    def moves(self, records: Sequence[Record]) -> dict[Place, Move]:
        """What applying these (expected) records does to the fence."""
        last: dict[Place, Record] = {run[-1].place: run[-1] for run in _runs(records)}
        return {
            place: Move(
                epoch=self._epochs[place],
                began=self._next[place],
                next=record.next_offset,
                last_record_id=id_of(record),
                last_record_at=record.timestamp,
            )
            for place, record in last.items()
        }

    def moves_over(self, passed: Mapping[Place, tuple[int, int]]) -> dict[Place, Move]:
        """The same without records, from one offset to another; not where something before it is still to be applied.

        What begins before the next offset was sought there to see the last record: there is none, but a transaction's end.
        """
        return {
            place: Move(self._epochs[place], self._next[place], end)
            for place, (began, end) in passed.items()
            if began <= self._next.get(place, -1) < end
        }

    def moved(self, moves: Mapping[Place, Move]) -> None:
        """The batch was committed."""
        self._last_records.forget(moves)
        for place, move in moves.items():
            self._next[place] = move.next
            if move.last_record_at is not None:
                self._stored_at[place] = move.last_record_at

    def measures(self, ends: Mapping[Place, int]) -> dict[Place, Measure]:
        """How far each owned place is, where the logs end at these offsets."""
        return {
            place: Measure(epoch, self._next[place], ends[place], self.stored_at(place))
            for place, epoch in self._epochs.items()
        }

    def standing(self, ends: Mapping[Place, int]) -> dict[Place, tuple[int, int]]:
        """Next offset and log end of what should move."""
        return {place: (self._next[place], ends[place]) for place in self.running}

    def stored_at(self, place: Place) -> datetime | None:
        """Append time of the last record applied by this owner."""
        return self._stored_at.get(place)

    def set_stopped(self, stopped: Collection[Place]) -> tuple[set[Place], set[Place]]:
        """What is stopped from now on; the places that this stops, and those that it resumes."""
        now = self._next.keys() & set(stopped)
        newly, resumed = now - self.stopped, self.stopped - now
        self.stopped = now
        return newly, resumed


def _runs(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Neighbours of one place, together. A fetch has few runs and many records."""
    for part in parts_of(records):
        if isinstance(part, Block):
            yield part
        else:
            for _, run in groupby(part, key=_PLACE):
                yield list(run)
