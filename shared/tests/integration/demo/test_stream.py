"""The demo against a small HTTP server that plays ingest-api, also on its bad days."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from tillstream.cli.demo import ProgressLine
from tillstream.clock import SystemClock
from tillstream.demo.client import Client
from tillstream.demo.shop import CATALOGUE, FIRST_CUSTOMERS
from tillstream.demo.stream import Stream, Totals
from tillstream.errors import Misconfigured

pytestmark = pytest.mark.integration

DEADLINE_S = 10
OPENING_RECORDS = len(CATALOGUE) + FIRST_CUSTOMERS


@dataclass
class Request:
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def records(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.body)
        return found


type Script = Callable[[Request, int], bytes]


@dataclass
class Door:
    """Answers each request as its script says; `stop` ends the run that it serves."""

    script: Script
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        request = Request(first.split()[1], headers, await reader.readexactly(int(headers["content-length"])))
        self.requests.append(request)
        writer.write(self.script(request, len(self.requests)))
        await writer.drain()
        writer.close()

    def stream(self, *, rate: float = 200, seconds: float | None = None) -> Stream:
        client = Client(f"http://127.0.0.1:{self.port}", DEADLINE_S)
        return Stream(client, SystemClock(), Random(1), rate=rate, seconds=seconds, show=lambda _: None)  # noqa: S311

    async def run(self) -> Totals:
        async with asyncio.timeout(DEADLINE_S):
            return await self.stream().run(self.stop)


@asynccontextmanager
async def door(script: Script) -> AsyncIterator[Door]:
    it = Door(script)
    async with await asyncio.start_server(it.serve, "127.0.0.1", 0) as server:
        it.port = server.sockets[0].getsockname()[1]
        yield it


def answer(status: int, body: object, *extra: str) -> bytes:
    payload = json.dumps(body).encode()
    head = "\r\n".join([f"HTTP/1.1 {status} x", f"content-length: {len(payload)}", *extra])
    return f"{head}\r\n\r\n".encode() + payload


def accepted(request: Request) -> bytes:
    return answer(202, {"inserted": len(request.records), "rejected": 0})


async def test_everything_sent_is_accepted_and_counted() -> None:
    def script(request: Request, number: int) -> bytes:
        if number == 12:
            it.stop.set()
        return accepted(request)

    async with door(script) as it:
        totals = await it.run()
    records = sum(len(request.records) for request in it.requests)
    assert (totals.sent, totals.accepted, totals.refused, totals.retried) == (records, records, 0, 0)
    assert records > OPENING_RECORDS
    assert all(request.target.endswith("?source=demo") for request in it.requests)


async def test_after_a_503_the_same_bytes_come_again_under_the_same_key() -> None:
    def script(request: Request, number: int) -> bytes:
        if number == 1:
            return answer(503, {"title": "later"}, "retry-after: 0")
        if number == 2:
            it.stop.set()
        return accepted(request)

    async with door(script) as it:
        totals = await it.run()
    first, second = it.requests
    assert (first.target, first.body) == (second.target, second.body)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert (totals.sent, totals.accepted, totals.retried) == (FIRST_CUSTOMERS,) * 3


async def test_a_connection_that_breaks_off_is_tried_again() -> None:
    def script(request: Request, number: int) -> bytes:
        if number == 1:
            return accepted(request)[:-4]
        it.stop.set()
        return accepted(request)

    async with door(script) as it:
        totals = await it.run()
    assert it.requests[0].body == it.requests[1].body
    assert (totals.accepted, totals.retried) == (FIRST_CUSTOMERS, FIRST_CUSTOMERS)


async def test_two_requests_never_share_a_key() -> None:
    def script(request: Request, number: int) -> bytes:
        if number == 10:
            it.stop.set()
        return accepted(request)

    async with door(script) as it:
        await it.run()
    keys = [request.headers["idempotency-key"] for request in it.requests]
    assert len(set(keys)) == len(keys)


async def test_refused_records_are_counted_and_the_stream_goes_on() -> None:
    def script(request: Request, number: int) -> bytes:
        if number == 6:
            it.stop.set()
        if number == 2:
            return answer(422, {"inserted": 0, "rejected": len(request.records)})
        return answer(202, {"inserted": len(request.records) - 1, "rejected": 1})

    async with door(script) as it:
        totals = await it.run()
    assert totals.refused == 5 + len(it.requests[1].records)
    assert totals.sent == totals.accepted + totals.refused


async def test_a_stop_ends_the_waiting_for_an_outage() -> None:
    def script(_request: Request, _number: int) -> bytes:
        it.stop.set()
        return answer(503, {}, "retry-after: 3600")

    async with door(script) as it:
        totals = await it.run()
    assert (totals.accepted, totals.retried) == (0, 0)
    assert "503" in totals.sentence()


async def test_the_time_limit_ends_a_run_even_where_nobody_answers() -> None:
    async with door(accepted_never) as it:
        stream = it.stream(seconds=0.2)
    async with asyncio.timeout(DEADLINE_S):
        totals = await stream.run(asyncio.Event())
    assert totals.accepted == 0
    assert "does not answer" in totals.sentence()


def accepted_never(_request: Request, _number: int) -> bytes:
    return b""


@pytest.mark.parametrize("reply", [answer(404, {"title": "what?"}), answer(202, ["not ours"])])
async def test_an_address_that_is_not_ingest_api_is_said_so(reply: bytes) -> None:
    async with door(lambda _request, _number: reply) as it:
        with pytest.raises(Misconfigured, match="--url"):
            await it.run()


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "ftp://127.0.0.1", "http://", "http://host:port"])
def test_a_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="no address"):
        Client(url, DEADLINE_S)


def shown_on(screen: int) -> str:
    """All that was written to a terminal that nobody holds open any more."""
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal says that it is at its end
        while more := os.read(screen, 4096):
            shown += more
    os.close(screen)
    return shown.decode()


async def test_the_command_shows_its_progress_and_ends_with_a_summary_when_it_is_interrupted() -> None:
    enough = asyncio.Event()

    def script(request: Request, number: int) -> bytes:
        if number == 20:
            enough.set()
        return accepted(request)

    screen, terminal = os.openpty()
    async with door(script) as it, asyncio.timeout(DEADLINE_S):
        demo = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("tillstream"),
            *("demo", "--rate", "200"),
            env={**os.environ, "TILLSTREAM_INGEST_URL": f"http://127.0.0.1:{it.port}"},
            stdout=terminal,
        )
        try:
            await enough.wait()
            demo.send_signal(signal.SIGINT)
            assert await demo.wait() == 0
        finally:
            if demo.returncode is None:
                demo.kill()
    os.close(terminal)
    *earlier, last = shown_on(screen).split("\r\x1b[2K")
    sent = sum(len(request.records) for request in it.requests)
    assert all(re.fullmatch(r"(sent [\d,]+ · .*/s)?", line) for line in earlier)
    assert len(earlier) > 2
    assert last.startswith(f"sent {sent:,} · accepted {sent:,} · refused 0 · retried 0 · ")
    assert last.endswith("/s\r\n")


def test_a_log_gets_a_progress_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    for tenths in range(251):
        line.show(Totals(sent=tenths, accepted=tenths, seconds=tenths / 10))
    line.finish(Totals(sent=251, accepted=251, seconds=25.1))
    sent = [each.split(" · ")[0] for each in capsys.readouterr().out.splitlines()]
    assert sent == ["sent 100", "sent 200", "sent 251"]
