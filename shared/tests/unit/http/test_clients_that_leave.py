"""Clients that end their half of a connection, or all of it, on the event loop that the services run on."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
import uvloop
from starlette.requests import Request
from starlette.responses import StreamingResponse

from tillstream.http.protocol import BoundedHttpProtocol
from tillstream.observe.metrics import Metrics
from tillstream.observe.web_server import WebServer

from .conftest import small_app

pytestmark = pytest.mark.unit

HOST = "127.0.0.1"
DEADLINE_S = 10.0
CLIENTS = 20
PIECE = b"x" * 40_000
PIECES = 50
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER


def on_uvloop[T](scenario: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(scenario, DEADLINE_S))


def test_a_client_that_says_that_it_is_done_is_answered(metrics: Metrics) -> None:
    async def asked() -> list[bytes]:
        server = WebServer(small_app(metrics), HOST, 0, BoundedHttpProtocol)
        await server.start()
        answers = []
        for _ in range(CLIENTS):
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(b"GET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n")
            writer.write_eof()
            answers.append(await reader.read())
            writer.close()
        await server.stop()
        return answers

    answers = on_uvloop(asked())
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 404"] * CLIENTS
    assert all(answer.endswith(b"}") for answer in answers)


def test_a_client_that_resets_a_download_costs_nothing_more(metrics: Metrics) -> None:
    is_over = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            for _ in range(PIECES):
                yield PIECE
                await asyncio.sleep(0)
        finally:
            is_over.set()

    async def download(_request: Request) -> StreamingResponse:
        return StreamingResponse(pieces())

    async def left() -> list[dict[str, Any]]:
        app = small_app(metrics)
        app.add_route("/download", download)
        server = WebServer(app, HOST, 0, BoundedHttpProtocol)
        await server.start()
        raised: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        for _ in range(CLIENTS):
            is_over.clear()
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(b"GET /download HTTP/1.1\r\nHost: test\r\n\r\n")
            await reader.readexactly(len(PIECE))
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()
            await is_over.wait()
        await server.stop()
        return raised

    assert on_uvloop(left()) == []
