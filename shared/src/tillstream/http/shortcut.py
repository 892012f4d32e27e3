"""A way past router, parameters and dependencies for requests that need nothing of them.

FastAPI's way costs four times as much as the record that a single POST brings. A shortcut takes only what is plainly
good; whatever else comes, a wrong parameter above all, goes the long way, where the answers to it are written once.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tillstream.errors import Retryable
from tillstream.http.problems import Problem, problem_response, unavailable

Taken = Callable[[Receive], Awaitable[Response]]


class ShortRoute(NamedTuple):
    """`path` as the router has it. `take` says how a request is answered, or None when it must go the long way."""

    path: str
    method: str
    take: Callable[[Scope], Taken | None]


class Shortcut:
    """ASGI middleware, the innermost. `routes` by path, without parameters in it."""

    def __init__(self, app: ASGIApp, routes: Mapping[str, ShortRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = self._taken(scope)
        if taken is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await taken(receive)
        except Problem as problem:
            response = problem_response(problem)
        except Retryable as error:
            response = problem_response(unavailable(str(error)))
        await response(scope, receive, send)

    def _taken(self, scope: Scope) -> Taken | None:
        route = self._routes.get(scope.get("path", ""))
        if route is None or scope["type"] != "http" or scope["method"] != route.method:
            return None
        taken = route.take(scope)
        if taken is not None:
            scope["route"] = route  # by its path the access log and the metrics know it
        return taken
