"""How an HTTP API of ours is put together; the routes come from the service."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, override

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tillstream.http.docs import add_docs
from tillstream.http.json_response import ExactJson
from tillstream.http.limits import BodyLimit, BodyLimits
from tillstream.http.middleware import REQUEST_ID_HEADER, RequestContext, RequestLog
from tillstream.http.problems import install_handlers
from tillstream.http.shortcut import Shortcut, ShortRoute
from tillstream.observe.metrics import Metrics

OPENAPI_PATH = "/openapi.json"


class _Fronted(FastAPI):
    """FastAPI whose document also has schemas that no route of its own declares: bodies that we check ourselves.

    `front` wraps the whole of it, so that a shortcut in it pays for none of FastAPI's own layers.
    """

    def __init__(
        self, components: Mapping[str, Any], front: Callable[[ASGIApp], ASGIApp], **options: Any
    ) -> None:
        super().__init__(**options)
        self._components = components
        self._front = front(super().__call__)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._front(scope, receive, send)

    @override
    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document.setdefault("components", {}).setdefault("schemas", {}).update(self._components)
        return document


def make_app(
    *,
    title: str,
    version: str,
    description: str,
    metrics: Metrics,
    new_id: Callable[[], object],
    body_limits: BodyLimits,
    own_body_limits: Mapping[str, BodyLimits] | None = None,
    cors_origins: Sequence[str] = (),
    cors_headers: Sequence[str] = (),
    quiet_routes: frozenset[str] = frozenset(),
    components: Mapping[str, Any] | None = None,
    shortcuts: Mapping[str, ShortRoute] | None = None,
) -> FastAPI:
    """An app without routes: problems for errors, bounded bodies, request ids, access log, metrics, /docs.

    `new_id` makes request ids. `own_body_limits`, by path, are those of routes that take bodies of another kind.
    `cors_origins` empty means that no browser of another origin may read answers. The lines of `quiet_routes` are logged at
    DEBUG. `components` are schemas that OpenAPI documents besides its own. `shortcuts`, by path, are tried before the routes:
    see `shortcut`.
    """

    def front(app: ASGIApp) -> ASGIApp:
        app = BodyLimit(Shortcut(RequestContext(app), shortcuts or {}), body_limits, own_body_limits)
        app = RequestLog(app, metrics, new_id, quiet_routes)
        # Outermost, so that a browser can read the problems too.
        return _cors(app, cors_origins, cors_headers) if cors_origins else app

    app = _Fronted(
        components or {},
        front,
        title=title,
        version=version,
        description=description,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        default_response_class=ExactJson,
        redirect_slashes=False,
    )
    install_handlers(app)
    add_docs(app)
    return app


def _cors(app: ASGIApp, origins: Sequence[str], headers: Sequence[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", REQUEST_ID_HEADER, *headers],
        expose_headers=[REQUEST_ID_HEADER, "Retry-After", *headers],
    )
