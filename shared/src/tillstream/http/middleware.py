"""Around every request: its id, its log line, its metrics, and the last resort when a bug escapes."""

import os
import re
import time
from collections.abc import Callable
from itertools import count

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tillstream.http.limits import header
from tillstream.http.problems import CLIENT_GONE, bug_problem, problem_response
from tillstream.observe.metrics import Metrics
from tillstream.observe.turn_lines import turn_logger

REQUEST_ID_HEADER = "X-Request-Id"
REQUEST_ID_KEY = "tillstream.request_id"  # in the scope
OTHER_ROUTE = "other"

_PROCESS_NAME_BYTES = 8
_REQUEST_ID_NAME = REQUEST_ID_HEADER.lower().encode()
_is_request_id = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch
_log = structlog.get_logger()


def numbered_ids() -> Callable[[], str]:
    """Ids of requests for a process that answers thousands a second: what this process is called, and a number."""
    process = os.urandom(_PROCESS_NAME_BYTES).hex()
    numbers = count(1)
    return lambda: f"{process}-{next(numbers)}"


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
        # Bound once: on a line that every request writes, finding the logger anew is a third of the cost.
        self._log = turn_logger()
        self._in_flight = 0
        metrics.http_requests_in_flight.set_function(lambda: self._in_flight)
        self._counted: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, _REQUEST_ID_NAME)
        request_id = given.decode() if given and _is_request_id(given) else str(self._new_id())
        answer = _Answer(send, request_id)
        began = time.perf_counter()
        self._in_flight += 1
        scope[REQUEST_ID_KEY] = request_id
        try:
            await self._app(scope, receive, answer.send)
        except Exception:  # noqa: BLE001 - the edge of a request: logged, and answered with a 500
            await self._answer_bug(scope, receive, answer)
        finally:
            self._in_flight -= 1
            self._record(scope, answer, time.perf_counter() - began)

    async def _answer_bug(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        _log.exception(
            "A request met a bug.",
            request_id=answer.request_id,
            method=scope["method"],
            path=scope["path"][:200],
        )
        if answer.status is None:
            await problem_response(bug_problem())(scope, receive, answer.send)

    def _record(self, scope: Scope, answer: "_Answer", seconds: float) -> None:
        route = str(getattr(scope.get("route"), "path", OTHER_ROUTE))
        code = answer.status if answer.status is not None else CLIENT_GONE
        requests, duration = self._counters(route, code)
        requests.inc()
        duration.observe(seconds)
        write = self._log.debug if route in self._quiet_routes else self._log.info
        write(
            f"Answered {scope['method']} {route} with {code}.",
            request_id=answer.request_id,
            method=scope["method"],
            route=route,
            status=code,
            seconds=round(seconds, 6),
        )

    def _counters(self, route: str, code: int) -> tuple[Counter, Histogram]:
        """As many as there are routes and codes; looking them up by label costs thrice as much as counting."""
        found = self._counted.get((route, code))
        if found is None:
            found = (
                self._metrics.http_requests.labels(route, str(code)),
                self._metrics.http_request_seconds.labels(route),
            )
            self._counted[route, code] = found
        return found


class RequestContext:
    """ASGI middleware, inside of RequestLog: whatever is logged within the request carries its id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with structlog.contextvars.bound_contextvars(request_id=scope.get(REQUEST_ID_KEY)):
            await self._app(scope, receive, send)


class _Answer:
    """The `send` of one request: remembers the status and adds the request id."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (_REQUEST_ID_NAME, self.request_id.encode())]
        await self._send(message)
