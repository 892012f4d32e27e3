"""Around every request: its id, its log line, its metrics, and the last resort when a bug escapes."""

import re
import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tillstream.http.problems import CLIENT_GONE, Problem, problem_response
from tillstream.observe.metrics import Metrics

REQUEST_ID_HEADER = "X-Request-Id"
OTHER_ROUTE = "other"
SERVER_ERROR = 500

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger()


class RequestLog:
    """ASGI middleware, the outermost: nothing that goes wrong inside leaves without an answer and a log line.

    `new_id` makes the id of a request that brings none in X-Request-Id; the answer carries it back.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        new_id: Callable[[], object],
        quiet_routes: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._new_id = new_id
        self._quiet_routes = quiet_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(self._new_id())
        answer = _Answer(send, request_id)
        began = time.perf_counter()
        self._metrics.http_requests_in_flight.inc()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer.send)
            except Exception:  # noqa: BLE001 - the edge of a request: logged, and answered with a 500
                await self._answer_bug(scope, receive, answer)
            finally:
                self._metrics.http_requests_in_flight.dec()
                self._record(scope, answer.status, time.perf_counter() - began)

    async def _answer_bug(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        _log.exception("A request met a bug.", method=scope["method"], path=scope["path"][:200])
        if answer.status is None:
            problem = Problem(
                SERVER_ERROR, "Something went wrong on our side; the request id leads to the log line."
            )
            await problem_response(problem)(scope, receive, answer.send)

    def _record(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = str(getattr(scope.get("route"), "path", OTHER_ROUTE))
        code = status if status is not None else CLIENT_GONE
        self._metrics.http_requests.labels(route, str(code)).inc()
        self._metrics.http_request_seconds.labels(route).observe(seconds)
        write = _log.debug if route in self._quiet_routes else _log.info
        write(
            f"Answered {scope['method']} {route} with {code}.",
            method=scope["method"],
            route=route,
            status=code,
            seconds=round(seconds, 6),
        )


class _Answer:
    """The `send` of one request: remembers the status and adds the request id."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        await self._send(message)
