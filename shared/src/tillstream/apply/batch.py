"""A batch of messages, told apart by the way they go."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message
from tillstream.contracts.parts import parts_of
from tillstream.contracts.plain_columns import PlainColumns
from tillstream.contracts.plain_events import PlainEvent, are_all_plain

type Numbered = tuple[int, Message]
type NumberedEvent = tuple[int, Message | PlainEvent]


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes of entities, events, and what broke its contract, each with its place in the batch; and events in columns, with
    the place of the first of them. No event stands in columns where one of the batch comes twice."""

    changes: list[Numbered] = field(default_factory=list)
    events: list[NumberedEvent] = field(default_factory=list)
    refused: list[Numbered] = field(default_factory=list)
    columns: list[tuple[int, PlainColumns]] = field(default_factory=list)

    @property
    def event_count(self) -> int:
        """Those in columns are among them."""
        return len(self.events) + sum(len(part) for _, part in self.columns)

    def all_events(self) -> list[NumberedEvent]:
        """Each of them, also of those in columns, in the order of the batch."""
        parts: list[Sequence[NumberedEvent]] = [list(enumerate(part, first)) for first, part in self.columns]
        return sorted(chain(self.events, *parts), key=lambda numbered: numbered[0])


def sorted_out(messages: Sequence[Message | PlainEvent]) -> Batch:
    """The messages of a batch; their places are those in `messages`."""
    batch = Batch()
    first = 0
    for part in parts_of(messages):
        if isinstance(part, PlainColumns):
            batch.columns.append((first, part))
        else:
            _sort_out(batch, first, part)
        first += len(part)
    if batch.columns and _has_copies(batch):
        return Batch(batch.changes, batch.all_events(), batch.refused)
    return batch


def _sort_out(batch: Batch, first: int, messages: Sequence[Message | PlainEvent]) -> None:
    if are_all_plain(messages):  # as most are, and all that come fast
        batch.events.extend(enumerate(messages, first))
        return
    for ord_, message in enumerate(messages, first):
        if isinstance(message, PlainEvent):
            batch.events.append((ord_, message))
        elif message.content is None:
            batch.refused.append((ord_, message))
        elif message.entity is Entity.EVENT:
            batch.events.append((ord_, message))
        else:
            batch.changes.append((ord_, message))


def _has_copies(batch: Batch) -> bool:
    """Whether an event's id stands twice."""
    ids = list(chain.from_iterable(part.ids for _, part in batch.columns))
    ids += [event.id_bytes for _, event in batch.events]
    return len(set(ids)) < len(ids)
