"""What became of a batch with events in columns: told without a step of Python for each of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import override

from tillstream.apply.applied import Applied
from tillstream.apply.batch import Batch
from tillstream.apply.verdicts import STORED, Verdict
from tillstream.contracts.messages import Message
from tillstream.contracts.parts import Lazy
from tillstream.contracts.plain_events import PlainEvent

_moment = itemgetter(0)


class AppliedColumns(Lazy[Applied]):
    """What became of each message. `verdicts` are on all but those events in columns that were simply stored."""

    def __init__(
        self, messages: Sequence[Message | PlainEvent], batch: Batch, verdicts: Mapping[int, Verdict]
    ) -> None:
        self._messages = messages
        self._columns = batch.columns
        self._verdicts = verdicts

    def __repr__(self) -> str:
        return f"<AppliedColumns: {len(self)} messages, {len(self._verdicts)} of them told one by one>"

    @override
    def __len__(self) -> int:
        return len(self._messages)

    @override
    def __iter__(self) -> Iterator[Applied]:
        return map(self._applied, range(len(self)), self._messages)

    @override
    def item(self, place: int) -> Applied:
        return self._applied(place, self._messages[place])

    @cached_property
    def one_by_one(self) -> list[Applied]:
        """All but those events in columns that were simply stored."""
        return [self[place] for place in self._verdicts]

    def stored_by_moment(self) -> Counter[datetime]:
        """How many events in columns were simply stored, of those that a door accepted at each moment."""
        counts = Counter(map(_moment, chain.from_iterable(part.accepted for _, part in self._columns)))
        for first, part in self._columns:
            told = self._verdicts.keys() & range(first, first + len(part))
            counts.subtract(part.accepted[place - first][0] for place in told)
        return counts

    def _applied(self, place: int, message: Message | PlainEvent) -> Applied:
        verdict = self._verdicts.get(place, STORED)
        return Applied(message, verdict.outcome, verdict.reason)
