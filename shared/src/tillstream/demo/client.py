"""The smallest HTTP client that the demo needs: one request, one connection.

HTTP/1.0 on purpose: the answer then ends where the connection ends, so there are no chunks and nothing is kept alive. The services
have no HTTP client among their dependencies, and a demo is no reason for one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from tillstream.errors import DoorUnavailable, Misconfigured

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_READ_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Posts bodies to one base address."""

    def __init__(self, base_url: str, deadline_s: float) -> None:
        self._url = _split(base_url)
        self._deadline_s = deadline_s

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Sends one request and reads its answer to the end.

        Raises DoorUnavailable where nothing, or nothing whole, came back in time; whether the request was acted on is then unknown.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return _parse(await self._exchange(self._head(path, headers, len(body)) + body))
        except OSError as error:  # a TimeoutError is one, without a text
            what = error.strerror or "no answer in time"
            raise DoorUnavailable(f"{self._url.geturl()} does not answer: {what}.") from error

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(
            self._url.hostname,
            self._url.port or _PORTS[self._url.scheme],
            ssl=True if self._url.scheme == "https" else None,
        )
        try:
            writer.write(request)
            await writer.drain()
            answer = bytearray()
            while piece := await reader.read(_READ_BYTES):
                answer += piece
                if len(answer) > MAX_ANSWER_BYTES:
                    raise DoorUnavailable(f"The answer is longer than {MAX_ANSWER_BYTES} bytes.")
            return bytes(answer)
        finally:
            writer.close()

    def _head(self, path: str, headers: Mapping[str, str], body_bytes: int) -> bytes:
        lines = [
            f"POST {self._url.path.rstrip('/')}{path} HTTP/1.0",
            f"Host: {self._url.netloc}",
            f"Content-Length: {body_bytes}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def _split(base_url: str) -> SplitResult:
    try:
        url = urlsplit(base_url)
        known = url.scheme in _PORTS and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        known = False
    if not known:
        raise Misconfigured(f"{base_url!r} is no address such as http://127.0.0.1:8001.")
    return url


def _parse(answer: bytes) -> Answer:
    head, separator, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    words = status_line.split(" ", 2)
    if not separator or len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():  # noqa: PLR2004
        raise DoorUnavailable("The answer broke off, or is not HTTP.")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(body) < int(length):
        raise DoorUnavailable("The answer broke off.")
    return Answer(int(words[1]), headers, body)
