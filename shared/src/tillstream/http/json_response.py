"""JSON answers: amounts leave as exact number literals, moments as ISO 8601."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from tillstream.contracts.parsing import dump_json

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
_JSON_BYTES = JSON.encode()


def json_response(
    content: object, status: int = 200, *, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> Response:
    """A finished answer; FastAPI hands a Response on without looking into it."""
    return Response(dump_json(content), status, headers=headers, media_type=media_type)


def finished_json(body: bytes, status: int) -> Response:
    """The same for JSON that is written already; a third of the cost, which single records feel."""
    return _Finished(body, status)


class _Finished(Response):
    def __init__(self, body: bytes, status: int) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", _JSON_BYTES)]


class ExactJson(JSONResponse):
    """The default response class of both APIs. Its base tells FastAPI that answers are JSON and not just text."""

    def render(self, content: Any) -> bytes:
        return dump_json(content)
