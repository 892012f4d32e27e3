"""Bounds on what the body of a request may cost in bytes and in time. Those on its head stand in `protocol`.

Both are needed: a body may come without a length or with a false one, and a client may send a byte a second.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tillstream.http.problems import CLIENT_GONE, Problem

# A client that has sent its body whole before it reads gets to see its 413 only if somebody takes the body from it.
MAX_DISCARDED_BYTES = 32 * 1024 * 1024
CLOSE = {"Connection": "close"}
# In the state of a request whose body came whole with its head: then nothing waits, and no timer is needed.
BODY_IS_HERE_KEY = "tillstream.body_is_here"


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one body may cost."""

    max_bytes: int
    read_s: float
    # For bodies of gigabytes: so many bytes give back a second of `read_s`, which is then how long a pause may be.
    bytes_per_s: float | None = None


class BodyLimit:
    """ASGI middleware: reading a body raises Problem 413 beyond its size and 408 beyond its time.

    A body whose declared length is too large is refused before the first byte is kept. `own_limits` has, by path, those of
    routes with bodies of another kind.
    """

    def __init__(
        self, app: ASGIApp, limits: BodyLimits, own_limits: Mapping[str, BodyLimits] | None = None
    ) -> None:
        self._app = app
        self._limits = limits
        self._own_limits = own_limits or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = _declared_length(scope)
        reader = _BoundedReader(
            receive,
            self._own_limits.get(scope["path"], self._limits),
            declared,
            is_here=BODY_IS_HERE_KEY in scope.get("state", ()),
        )
        await self._app(scope, reader.receive, send)


class _BoundedReader:
    """The `receive` of one request."""

    def __init__(
        self, receive: Receive, limits: BodyLimits, declared: int | None, *, is_here: bool = False
    ) -> None:
        self._receive = receive
        self._limits = limits
        self._declared = declared
        self._left_s = limits.read_s
        self._is_here = is_here
        self._seen = 0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        if self._declared is not None and self._declared > self._limits.max_bytes:
            await self._refuse_size()
        message = await self._next()
        if self._seen > self._limits.max_bytes:
            await self._refuse_size()
        return message

    async def _next(self) -> Message:
        message = await (self._receive() if self._is_here else self._receive_in_time())
        if message["type"] == "http.disconnect":
            raise Problem(CLIENT_GONE, "The client went away before its body was complete.")
        size = len(message.get("body", b""))
        self._seen += size
        if self._limits.bytes_per_s is not None:
            self._left_s = min(self._limits.read_s, self._left_s + size / self._limits.bytes_per_s)
        self._complete = not message.get("more_body", False)
        return message

    async def _receive_in_time(self) -> Message:
        """Only waiting for the client counts, not what is done with its bytes in between."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._left_s):
                return await self._receive()
        except TimeoutError:
            raise Problem(408, self._too_slow(), headers=CLOSE) from None
        finally:
            self._left_s -= clock() - began

    def _too_slow(self) -> str:
        if self._limits.bytes_per_s is None:
            return f"The body did not arrive within {self._limits.read_s:g} s."
        return (
            f"The body came more slowly than {self._limits.bytes_per_s:g} bytes a second,"
            f" or paused for more than {self._limits.read_s:g} s."
        )

    async def _refuse_size(self) -> None:
        if self._declared is None or self._declared <= MAX_DISCARDED_BYTES:
            while not self._complete and self._seen <= MAX_DISCARDED_BYTES:
                await self._next()
        raise Problem(413, f"A body may have {self._limits.max_bytes} bytes at most.", headers=CLOSE)


def _declared_length(scope: Scope) -> int | None:
    value = header(scope, b"content-length") or b""
    return int(value) if value.isdigit() else None


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """The first header of that name, in lower case; most requests have few, and no dictionary is worth making."""
    return next((value for name, value in scope["headers"] if name == wanted), None)
