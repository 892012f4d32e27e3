"""A web server that shares the process's event loop and leaves its signals alone."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, override

import uvicorn
from uvicorn.config import HTTPProtocolType

from tillstream.errors import Misconfigured

if TYPE_CHECKING:
    from starlette.types import ASGIApp

BACKLOG_CONNECTIONS = 1_024
KEEP_ALIVE_S = 75
# Less than the 20 s within which a process must end: what is still in flight by then is cancelled.
FINISH_LIMIT_S = 15


class WebServer:
    """Serves one ASGI app on one address. `start` returns when it accepts connections; `stop` when it is done.

    Stopping closes the listening socket and idle connections at once and lets requests in flight finish.
    """

    def __init__(
        self,
        app: "ASGIApp",
        host: str,
        port: int,
        protocol: type[asyncio.Protocol] | HTTPProtocolType = "httptools",
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._protocol = protocol
        self._server: _QuietServer | None = None
        self._serving: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<WebServer {self._host}:{self._port}>"

    @property
    def port(self) -> int:
        """The port in use; differs from the wanted one where that was 0."""
        return self._port

    async def start(self) -> None:
        """Raises Misconfigured when the address cannot be had."""
        assert self._serving is None, "started twice"
        listening = _listen(self._host, self._port)
        self._port = listening.getsockname()[1]
        self._server = _QuietServer(self._config())
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name=repr(self))
        started = asyncio.create_task(self._server.is_up.wait())
        await asyncio.wait({self._serving, started}, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            started.cancel()
            await self._serving

    async def stop(self) -> None:
        """Returns within FINISH_LIMIT_S and a moment. May be repeated, also without a start."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None

    async def failed(self) -> None:
        """Waits until the server ends although nobody stopped it."""
        if self._serving is not None:
            await asyncio.wait({self._serving})

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            loop="none",
            http=self._protocol,
            ws="none",
            lifespan="off",  # the composition root opens and closes, in pairs
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=FINISH_LIMIT_S,
        )


class _QuietServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: `serve.run` owns them."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.is_up.set()


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket; binding it here turns a port in use into a sentence instead of uvicorn's sys.exit."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise Misconfigured(f"The address {host} cannot be bound to: {error.strerror}.") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise Misconfigured(f"Port {port} on {host} cannot be bound to: {error.strerror}.") from None
    listening.setblocking(False)
    return listening
