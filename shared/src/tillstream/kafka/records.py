"""What goes to Kafka and what comes from it. Named tuples: 50,000 of them a second are built, a frozen dataclass costs thrice as much."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from tillstream.errors import TillstreamError

# What the log format spends on a record besides its parts: attributes, deltas, lengths and counts as varints.
RECORD_OVERHEAD_BYTES = 32
HEADER_OVERHEAD_BYTES = 6
# What a header takes in memory besides its text: a record of a megabyte may have half a million without any.
HEADER_OBJECT_BYTES = 64

Headers = Sequence[tuple[str, bytes]]

_values, _keys, _headers = attrgetter("value"), attrgetter("key"), attrgetter("headers")


def header_bytes_of(headers: Headers) -> int:
    """Bytes that these headers take in a batch, at most."""
    return HEADER_OVERHEAD_BYTES * len(headers) + sum(map(len, chain.from_iterable(headers)))


class Place(NamedTuple):
    """One partition of one topic; sorts by topic, then by number."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class LogIdentity(NamedTuple):
    """What tells a log from another one of the same name. None is not known, and differs from nothing."""

    cluster_id: str | None = None
    topic_id: UUID | None = None


class Record(NamedTuple):
    """A record as the log has it. `timestamp` is when the broker appended it (aware, UTC, whole milliseconds).

    With a `problem`, which says why, it is a batch that cannot be read, from `first_offset` on: see `log_format.LoggedRecord`.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: datetime
    problem: str | None = None
    first_offset: int | None = None

    @property
    def place(self) -> Place:
        return Place(self.topic, self.partition)

    @property
    def next_offset(self) -> int:
        return self.offset + 1


def header_bytes(record: Record) -> int:
    """Of names, values and what holds them; a foreign producer may send a header without a value."""
    return sum(HEADER_OBJECT_BYTES + len(name) + len(value or b"") for name, value in record.headers)


def bytes_of(record: Record) -> int:
    """Of its key, its value and its headers."""
    return len(record.key or b"") + len(record.value or b"") + header_bytes(record)


def bytes_of_all(records: Iterable[Record]) -> int:
    """The same of all these, without a step of Python for each."""
    every = tuple(records)
    headers = chain.from_iterable(chain.from_iterable(map(_headers, every)))
    held = HEADER_OBJECT_BYTES * sum(map(len, map(_headers, every)))
    return held + sum(map(len, filter(None, chain(map(_values, every), map(_keys, every), headers))))


class Outgoing(NamedTuple):
    """A record to publish. Records of one key keep their order; without a key they are spread.

    A caller whose headers all look alike may say in `header_bytes` what they take at most (see `header_bytes_of`), which
    spares adding it up for each record.
    """

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers = ()
    header_bytes: int | None = None

    @property
    def size(self) -> int:
        """Bytes that the record takes in a batch, at most, before compression. Names of headers are ASCII."""
        header_bytes = header_bytes_of(self.headers) if self.header_bytes is None else self.header_bytes
        key_bytes = len(self.key) if self.key is not None else 0
        return RECORD_OVERHEAD_BYTES + len(self.value) + key_bytes + header_bytes


class PublishResult(NamedTuple):
    """What became of one outgoing record. Without an `error` the broker has it, at `partition` and `offset`.

    BrokerUnavailable as `error` leaves open whether the broker has it: publish it again with the same ids.
    A `Rejected` error will never go away.
    """

    partition: int | None = None
    offset: int | None = None
    error: TillstreamError | None = None

    @property
    def acknowledged(self) -> bool:
        return self.error is None
