"""Bounds on what the head of a request, and a body that nobody wants, may cost."""

import asyncio
from typing import Any, override

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tillstream.http.held_writes import HeldWrites
from tillstream.http.limits import BODY_IS_HERE_KEY

PATIENCE_S = 10.0
MAX_HEAD_BYTES = 65_536
NO_UPGRADE = "No other protocol is spoken here: send the request without Upgrade."


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever and keeps any number of header bytes.

    A connection is closed when it brings no complete head within PATIENCE_S of connecting or of the head's first
    byte, when a head is larger than MAX_HEAD_BYTES, and when the rest of a body is still missing PATIENCE_S after its
    request was answered. Between them, while a body is being read, the reader's own deadline holds. A request that wants
    another protocol is answered with 400, and the connection closed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._moved_on = False
        self._has_begun_head = False
        self._is_refused = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._held_writes = HeldWrites(transport, self.loop)
        super().connection_made(self._held_writes)
        self._wait_for_client()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._held_writes.drop()
        super().connection_lost(exc)

    @override
    def eof_received(self) -> None:
        """The client has said all that it will, and uvloop closes the connection now: first what was answered in this turn."""
        self._held_writes.flush()
        super().eof_received()

    @override
    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._moved_on = False
        self._has_begun_head = False
        super().data_received(data)
        if self._is_refused:
            self.logger.warning("A request wants another protocol.")
            self.send_400_response(NO_UPGRADE)
            return
        if self._has_begun_head:  # most heads come whole, and need no timer
            self._wait_for_client()
        # What came together with the end of something else is not counted: one read is bounded by itself.
        if self._moved_on or not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.logger.warning("The head of a request is too large.")
            self.send_400_response("The head of the request is too large.")

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._moved_on = True
        self._has_begun_head = True

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head only: what follows a body in chunks would change what the request said before it."""
        if self._in_head:
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._has_begun_head = False
        self._in_head = False
        self._moved_on = True
        # The parser takes what follows such a head for the other protocol, and uvicorn for the next request.
        self._is_refused = self.parser.should_upgrade()
        if not self._is_refused:
            super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._is_refused:
            return
        super().on_message_complete()
        # The app runs later, and looks once, when it starts.
        self.cycle.scope["state"][BODY_IS_HERE_KEY] = True
        self._in_head = True
        self._moved_on = True
        self._head_bytes = 0
        if self.cycle.response_complete:
            self._stop_waiting()
            self._rearm_keep_alive()

    @override
    def on_response_complete(self) -> None:
        newest = self.cycle  # with pipelining it may be a request that still waits for its turn
        super().on_response_complete()
        if newest.response_complete and newest.more_body and not self.transport.is_closing():
            self._wait_for_client()

    def _rearm_keep_alive(self) -> None:
        """The rest of an answered body has come and, with its bytes, cancelled the timer for idle connections."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _wait_for_client(self) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(PATIENCE_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
