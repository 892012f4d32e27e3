"""A TCP proxy between two parts of the system, which can be made to misbehave while connections go through it."""

import asyncio
import contextlib
from collections.abc import Iterator
from enum import StrEnum

from faults.holding import hold
from tillstream.testing.proxy import CHUNK_BYTES, HOST

SLICE_BYTES = 7  # shorter than any header of the two protocols
SLICES_AT_MOST = 200  # per chunk: the rest of it goes whole, else a large one would take minutes
SLOW_CHUNK_S = 0.15


class Manner(StrEnum):
    """What becomes of the bytes."""

    CLEAR = "clear"
    FREEZE = "freeze"  # nothing goes either way; what came is kept and goes on later
    SLOW = "slow"  # every chunk waits a little
    SLICE = "slice"  # chunks go on in pieces of a few bytes
    DROP_WAY_BACK = "drop the way back"  # the server hears everything, its answers are lost


class Wire:
    """Passes connections on to one address; `manner` holds for all of them, also for new ones."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.manner = Manner.CLEAR
        self.spoiled = 0  # chunks that came while it was not clear
        self._target = 0
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._torn: set[asyncio.StreamWriter] = set()

    def __repr__(self) -> str:
        return f"<Wire {self.name} on {self.port}: {self.manner}, {len(self._writers)} ends>"

    async def open(self) -> None:
        """Listen on a free port, which is in `port` from then on; `lead_to` says where it goes."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def lead_to(self, port: int) -> None:
        self._target = port

    async def close(self) -> None:
        """Hang up on everybody."""
        self.set(Manner.CLEAR)
        if self._server is not None:
            self._server.close()
        self.reset()
        if self._server is not None:
            await self._server.wait_closed()

    def set(self, manner: Manner) -> None:
        """From now on; a connection that lost bytes is of no use any more and is reset when they would arrive again."""
        self.manner = manner
        self._changed.set()
        self._changed = asyncio.Event()
        if manner is not Manner.DROP_WAY_BACK:
            for writer in self._torn:
                writer.transport.abort()
            self._torn.clear()

    def reset(self) -> int:
        """End every connection without a word; how many ends there were."""
        ends = list(self._writers)
        for writer in ends:
            writer.transport.abort()
        return len(ends)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection(HOST, self._target)
        except OSError:
            to_client.transport.abort()
            return
        ends = {to_client, to_server}
        self._writers |= ends
        ways = [
            asyncio.create_task(self._pass_on(client, to_server, is_back=False), name=f"{self.name}: there"),
            asyncio.create_task(self._pass_on(server, to_client, is_back=True), name=f"{self.name}: back"),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= ends
            self._torn -= ends
            for writer in ends:
                writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_back: bool
    ) -> None:
        """Until either end hangs up."""
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                self.spoiled += self.manner is not Manner.CLEAR
                for piece in self._pieces(chunk):
                    await self._held_up()
                    if is_back and self.manner is Manner.DROP_WAY_BACK:
                        self._torn.add(writer)
                    else:
                        writer.write(piece)
                        await writer.drain()

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        end = SLICE_BYTES * SLICES_AT_MOST if self.manner is Manner.SLICE else 0
        for start in range(0, min(end, len(chunk)), SLICE_BYTES):
            yield chunk[start : min(start + SLICE_BYTES, end)]
        if len(chunk) > end:
            yield chunk[end:]

    async def _held_up(self) -> None:
        if self.manner is Manner.SLOW:
            await hold(SLOW_CHUNK_S, self._changed)
        while self.manner is Manner.FREEZE:
            await self._changed.wait()
        if self.manner is Manner.SLICE:
            await asyncio.sleep(0)  # a write of its own for each piece
