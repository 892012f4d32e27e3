"""Head and body of an answer in one system call.

uvicorn writes them one after the other, and uvloop sends each at once: two packets, for which the client may be woken twice.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, override

# More than that is sent at once: an answer of many pieces may be written without a pause between them.
MAX_HELD_BYTES = 65_536

type Data = bytes | bytearray | memoryview[Any]


class HeldWrites(asyncio.Transport):
    """Another transport, whose writes of one turn of the loop go out together, at its end."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[Data] = []
        self._held_bytes = 0
        # What only passes through stands for itself: a call in between would cost a third of what is saved.
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]

    @override
    def write(self, data: Data) -> None:
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MAX_HELD_BYTES:
            self.flush()

    @override
    def writelines(self, list_of_data: Iterable[Data]) -> None:
        self.write(b"".join(list_of_data))

    @override
    def close(self) -> None:
        """What was written before is sent before."""
        self.flush()
        self._transport.close()

    @override
    def abort(self) -> None:
        self.drop()
        self._transport.abort()

    def flush(self) -> None:
        """Send what is held, now."""
        held, self._held, self._held_bytes = self._held, [], 0
        if held:
            self._transport.write(b"".join(held))

    def drop(self) -> None:
        """Nobody is there any more to whom it could be sent."""
        self._held, self._held_bytes = [], 0
