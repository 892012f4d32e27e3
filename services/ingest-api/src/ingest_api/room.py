"""How many bytes of bodies the process holds at once, and whom it asks to wait when they become many."""

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from ingest_api.drain import DrainRate
from tillstream.http.problems import Problem, too_many, unavailable
from tillstream.observe.metrics import Metrics

# Above this share of the room there is pressure: who takes more than its part waits, and the rest is kept for others.
PRESSURE_SHARE = 0.5
LONE_ADDRESS_SHARE = 0.9


class Client(NamedTuple):
    """Whom bytes are counted to: the address of the other end, or of a proxy, and the source that it names, if any."""

    address: str
    source: str


class Room:
    """The bound over all requests; `seat` is one request's part of it.

    A 429 comes only under pressure, which `pressed` may report too, and only to a client that takes more than its part of
    the room; 503 is for a room that is full whoever asks. Parts are those of addresses, since anybody may name a new source
    with each request: an equal one, with one more for who comes next. As long as there is a single address, as of a proxy,
    its part is all but the last tenth, and of its sources the one that holds the most takes more than its part.
    """

    def __init__(
        self,
        max_bytes: int,
        drain: DrainRate,
        metrics: Metrics,
        pressed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._max_bytes = max_bytes
        self._drain = drain
        self._metrics = metrics
        self._pressed = pressed
        self._held: Counter[Client] = Counter()
        self._held_at: Counter[str] = Counter()
        self.taken_bytes = 0
        metrics.ingest_bytes_in_hand.set_function(lambda: self.taken_bytes)
        metrics.ingest_drained_bytes_per_second.set_function(
            lambda: drain.per_second(busy=self.taken_bytes > 0)
        )

    def __repr__(self) -> str:
        return f"<Room {self.taken_bytes} of {self._max_bytes} bytes, {len(self._held)} clients>"

    def seat(self, client: Client) -> "Seat":
        """Used as a context manager around a whole request."""
        return Seat(self, client)

    def take(self, client: Client, size: int) -> None:
        """Raises a problem when `size` more bytes do not fit (503), or would be more than this client's part under pressure (429)."""
        if self.taken_bytes + size > self._max_bytes:
            raise unavailable("Too many requests are being read at once.", retry_after_s=self.retry_after_s())
        if self._is_under_pressure() and self._is_greedy(client, size):
            self._metrics.ingest_throttled_requests.inc()
            raise self._throttled()
        if not self.taken_bytes:
            self._drain.begin()
        self.taken_bytes += size
        self._held[client] += size
        self._held_at[client.address] += size

    def give_back(self, client: Client, size: int, *, drained: bool) -> None:
        if drained:
            self._drain.drained(size)
        self.taken_bytes -= size
        _less(self._held, client, size)
        _less(self._held_at, client.address, size)

    def retry_after_s(self) -> int:
        """When a client may come again, by what is in hand and how fast that goes."""
        return self._drain.retry_after_s(self.taken_bytes)

    def _is_under_pressure(self) -> bool:
        return self.taken_bytes > self._max_bytes * PRESSURE_SHARE or self._pressed()

    def _is_greedy(self, client: Client, size: int) -> bool:
        at_address = self._held_at[client.address] + size
        addresses = len(self._held_at.keys() | {client.address})
        if addresses > 1:
            return at_address > self._max_bytes / (addresses + 1)
        wanted = self._held[client] + size
        is_most = all(held < wanted for each, held in self._held.items() if each != client)
        return is_most or at_address > self._max_bytes * LONE_ADDRESS_SHARE

    def _throttled(self) -> Problem:
        detail = "This door is under pressure, and this client takes more than its part of the room; others are served."
        return too_many(detail, retry_after_s=self.retry_after_s())


class Seat:
    """What one request holds; given back when it is left, however that happens."""

    def __init__(self, room: Room, client: Client) -> None:
        self._room = room
        self._client = client
        self._held_bytes = 0
        self.drained = False  # set when the broker has what these bytes brought

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.give_back(self._client, self._held_bytes, drained=self.drained)
        self._held_bytes = 0

    def hold(self, size: int) -> None:
        """Raises a 503 problem when the room is full, a 429 problem when this client takes more than its part."""
        if size:  # many bodies end with an empty part
            self._room.take(self._client, size)
            self._held_bytes += size


def _less[Key](held: Counter[Key], key: Key, size: int) -> None:
    """Who holds nothing is forgotten."""
    held[key] -= size
    if held[key] <= 0:
        del held[key]
