"""What a client may cost on a real connection."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from tillstream.http import protocol
from tillstream.http.protocol import MAX_HEAD_BYTES, BoundedHttpProtocol
from tillstream.observe.metrics import Metrics
from tillstream.observe.web_server import WebServer
from tillstream.testing.waiting import eventually

from .conftest import small_app

pytestmark = pytest.mark.unit

HOST = "127.0.0.1"
PATIENCE_S = 0.2
DEADLINE_S = 5.0
CHUNK_BYTES = 65_536
HEAD = b"POST /echo HTTP/1.1\r\nHost: test\r\n"


class Wire:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """Everything until the server closes; who still sends then gets a reset instead of an end."""
        got = b""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while chunk := await self.reader.read(CHUNK_BYTES):
                    got += chunk
        except ConnectionResetError:
            return got
        return got


@pytest.fixture
async def server(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WebServer]:
    monkeypatch.setattr(protocol, "PATIENCE_S", PATIENCE_S)
    app: FastAPI = small_app(metrics)
    server = WebServer(app, HOST, 0, BoundedHttpProtocol)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def wire(server: WebServer) -> AsyncIterator[Wire]:
    wire = Wire(*await asyncio.open_connection(HOST, server.port))
    yield wire
    wire.writer.close()


async def test_connection_is_kept_for_the_next_request(wire: Wire) -> None:
    for _ in range(3):
        await wire.send(HEAD + b"Content-Length: 3\r\n\r\nabc")
        assert (await wire.head()).startswith(b"HTTP/1.1 200")
        assert await wire.reader.readexactly(len(b'{"length":3}')) == b'{"length":3}'


async def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    await wire.send(b"".join(HEAD + b"Content-Length: %d\r\n\r\n%s" % (n, b"x" * n) for n in (1, 2, 3)))
    for n in (1, 2, 3):
        await wire.head()
        assert await wire.reader.readexactly(len(b'{"length":1}')) == b'{"length":%d}' % n


@pytest.mark.parametrize(
    "sent", [b"", HEAD, HEAD + b"X-Slow: "], ids=["nothing", "half a head", "half a header"]
)
async def test_head_that_does_not_come_costs_a_bounded_time(wire: Wire, sent: bytes) -> None:
    began = time.monotonic()
    await wire.send(sent)
    assert await wire.rest() == b""
    assert time.monotonic() - began >= PATIENCE_S * 0.9


async def test_a_later_head_that_does_not_come_costs_a_bounded_time(wire: Wire) -> None:
    await wire.send(HEAD + b"Content-Length: 3\r\n\r\nabc" + HEAD)
    assert (await wire.rest()).endswith(b'{"length":3}')


@pytest.mark.parametrize("line", [b"X-Long: %s\r\n", b"%s\r\n"], ids=["headers", "one header's name"])
async def test_endless_head_is_refused(wire: Wire, line: bytes) -> None:
    await wire.send(HEAD)
    await wire.send(line % (b"x" * 10 * MAX_HEAD_BYTES))
    assert (await wire.head()).startswith(b"HTTP/1.1 400")


async def test_byte_by_byte_body_is_408_and_closed(wire: Wire) -> None:
    await wire.send(HEAD + b"Content-Length: 50\r\n\r\n")
    began = time.monotonic()
    dripping = asyncio.create_task(_drip(wire))
    answer = await wire.rest()
    dripping.cancel()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"The body did not arrive within 0.2 s." in answer
    assert time.monotonic() - began < DEADLINE_S  # it drips for longer


async def test_chunked_body_without_a_length_is_bounded(wire: Wire) -> None:
    await wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"32\r\n" + b"x" * 50 + b"\r\n")
    await wire.send((b"32\r\n" + b"x" * 50 + b"\r\n") * 3 + b"0\r\n\r\n")
    assert (await wire.rest()).startswith(b"HTTP/1.1 413")


async def test_too_large_body_is_taken_so_that_its_sender_sees_the_answer(wire: Wire) -> None:
    size = 3_000_000
    await wire.send(HEAD + b"Content-Length: %d\r\n\r\n" % size)
    await wire.send(b"x" * size)
    assert (await wire.rest()).startswith(b"HTTP/1.1 413")


async def test_body_shorter_than_its_length_is_408(wire: Wire) -> None:
    await wire.send(HEAD + b"Content-Length: 50\r\n\r\nonly this")
    assert (await wire.rest()).startswith(b"HTTP/1.1 408")


async def test_body_longer_than_its_length_is_no_part_of_it(wire: Wire) -> None:
    await wire.send(HEAD + b"Content-Length: 3\r\n\r\nabc")
    assert (await wire.head()).startswith(b"HTTP/1.1 200")
    await wire.send(b"def and more\r\n\r\n")
    answer = await wire.rest()
    assert answer.startswith(b'{"length":3}HTTP/1.1 400')


@pytest.mark.parametrize("other", [b"h2c", b"websocket"])
@pytest.mark.parametrize("gap", [True, False], ids=["later", "at once"])
async def test_body_of_an_upgrade_is_no_request(wire: Wire, other: bytes, gap: bool) -> None:
    inner = HEAD + b"Content-Length: 2\r\n\r\n{}"
    length = b"Content-Length: %d\r\n" % len(inner)
    head = HEAD + b"Connection: Upgrade\r\nUpgrade: " + other + b"\r\n" + length + b"\r\n"
    for part in (head, inner) if gap else (head + inner,):
        await wire.send(part)
    answers = await wire.rest()
    assert answers.startswith(b"HTTP/1.1 400")
    assert answers.count(b"HTTP/1.1") == 1
    assert b"without Upgrade" in answers


async def test_what_follows_the_chunks_is_no_header(wire: Wire) -> None:
    chunks = b"2\r\n{}\r\n0\r\nX-Request-Id: trailing\r\n\r\n"
    await wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    head = await wire.head()
    assert head.startswith(b"HTTP/1.1 200")
    assert b"trailing" not in head


async def test_two_lengths_that_differ_are_refused(wire: Wire) -> None:
    await wire.send(HEAD + b"Content-Length: 3\r\nContent-Length: 9\r\n\r\nabcdefghi")
    assert (await wire.head()).startswith(b"HTTP/1.1 400")


async def test_unwanted_body_that_does_not_end_costs_a_bounded_time(wire: Wire) -> None:
    await wire.send(b"POST /nowhere HTTP/1.1\r\nHost: test\r\nContent-Length: 50\r\n\r\n")
    dripping = asyncio.create_task(_drip(wire))
    answer = await wire.rest()
    dripping.cancel()
    assert answer.startswith(b"HTTP/1.1 404")


async def test_unwanted_body_that_ends_leaves_the_connection_usable(wire: Wire) -> None:
    await wire.send(b"POST /nowhere HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n")
    assert b" 404 " in await wire.head()
    await wire.send(b"late" + HEAD + b"Content-Length: 1\r\n\r\nx")
    assert b'{"length":1}' in await _until(wire, b'{"length":1}')


async def test_client_that_goes_away_is_counted_and_costs_nothing_more(wire: Wire, metrics: Metrics) -> None:
    await wire.send(HEAD + b"Content-Length: 50\r\n\r\nhalf")
    wire.writer.close()
    await wire.writer.wait_closed()
    gone = {"route": "/echo", "status": "499"}
    await eventually(lambda: metrics.registry.get_sample_value("tillstream_http_requests_total", gone) == 1)


async def test_stopping_server_finishes_what_is_in_flight(
    server: WebServer, wire: Wire, metrics: Metrics
) -> None:
    await wire.send(HEAD + b"Content-Length: 6\r\n\r\nabc")
    idle = Wire(*await asyncio.open_connection(HOST, server.port))
    await eventually(lambda: metrics.registry.get_sample_value("tillstream_http_requests_in_flight") == 1)
    stopping = asyncio.create_task(server.stop())
    assert await idle.rest() == b""
    await wire.send(b"def")
    assert b'{"length":6}' in await wire.rest()
    await stopping
    idle.writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, server.port)


async def _drip(wire: Wire) -> None:
    """One byte per look, until the task is cancelled."""

    async def drop() -> bool:
        await wire.send(b"x")
        return False

    await eventually(drop, 2 * DEADLINE_S)


async def _until(wire: Wire, end: bytes) -> bytes:
    async with asyncio.timeout(DEADLINE_S):
        return await wire.reader.readuntil(end)
