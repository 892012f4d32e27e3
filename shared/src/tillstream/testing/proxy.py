"""A TCP proxy that a test cuts, so that a client sees what a broken network shows it."""

import asyncio
import contextlib
from collections.abc import Callable
from enum import Enum, auto

CHUNK_BYTES = 65_536
HOST = "127.0.0.1"


class Cut(Enum):
    """What the proxy does with the bytes that a client just sent, and with their connection."""

    NOTHING = auto()
    ANSWER = auto()  # they go on, the client is hung up on, and whatever the server answers is lost
    QUESTION = auto()  # they are lost, the client is hung up on, and the server is left waiting


Judge = Callable[[bytes], Cut]


class Proxy:
    """Passes connections on to one address. `judge` sees every chunk from a client before it goes on."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.cuts = 0
        self.judge: Judge = lambda _sent: Cut.NOTHING
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def __repr__(self) -> str:
        return f"<Proxy {self.port} to {self._target}: {self.cuts} cuts>"

    async def start(self) -> None:
        """Listen on a free port, which is in `port` from then on."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        if self._server is not None:
            await self._server.wait_closed()

    def cut_once(self, cut: Cut, when: Callable[[bytes], bool]) -> None:
        """The next chunk for which `when` holds is cut, and nothing after it."""

        def judge(sent: bytes) -> Cut:
            if not when(sent):
                return Cut.NOTHING
            self.judge = lambda _sent: Cut.NOTHING
            return cut

        self.judge = judge

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(*self._target)
        self._writers |= {to_client, to_server}
        back = asyncio.create_task(self._pass_back(server, to_client), name="way back")
        try:
            await self._pass_on(client, to_client, to_server, back)
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            self._writers -= {to_client}
            to_client.close()

    async def _pass_on(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        to_server: asyncio.StreamWriter,
        back: "asyncio.Task[None]",
    ) -> None:
        """Until the client hangs up. After a cut the way to the server stays open: it need not notice anything."""
        while sent := await _read(client):
            cut = self.judge(sent)
            if cut is not Cut.NOTHING:
                self.cuts += 1
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
            if cut is not Cut.QUESTION:
                to_server.write(sent)
            if cut is not Cut.NOTHING:
                to_client.close()
                return
        to_server.close()
        self._writers.discard(to_server)

    async def _pass_back(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while answered := await _read(server):
            to_client.write(answered)
        to_client.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await reader.read(CHUNK_BYTES)
    return b""
