"""How many bytes of bodies the process holds at once."""

from types import TracebackType
from typing import Self

from tillstream.http.problems import unavailable


class Room:
    """The bound over all requests; `seat` is one request's part of it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.taken_bytes = 0

    def __repr__(self) -> str:
        return f"<Room {self.taken_bytes} of {self._max_bytes} bytes>"

    def seat(self) -> "Seat":
        """Used as a context manager around a whole request."""
        return Seat(self)

    def take(self, size: int) -> None:
        """Raises a 503 problem when `size` more bytes do not fit."""
        if self.taken_bytes + size > self._max_bytes:
            raise unavailable("Too many requests are being read at once.")
        self.taken_bytes += size

    def give_back(self, size: int) -> None:
        self.taken_bytes -= size


class Seat:
    """What one request holds; given back when it is left, however that happens."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._held_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.give_back(self._held_bytes)
        self._held_bytes = 0

    def hold(self, size: int) -> None:
        """Raises a 503 problem when the room is full."""
        self._room.take(size)
        self._held_bytes += size
