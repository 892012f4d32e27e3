"""What holds for every route: a parameter comes once, and the document names what can go wrong."""

from typing import Any

from starlette.requests import Request

from query_api.failures import BadParameter
from tillstream.http.json_response import PROBLEM_JSON

SHOWN_NAME_CHARS = 40

type Responses = dict[int | str, dict[str, Any]]

_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem after RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for people."},
        "errors": {
            "type": "array",
            "description": "The parameters that are not acceptable.",
            "items": {
                "type": "object",
                "required": ["name", "in", "message"],
                "properties": {
                    "name": {"type": "string"},
                    "in": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


async def refuse_repeated(request: Request) -> None:
    """Of `?limit=1&limit=2` one would be ignored; which one the client meant, nobody knows."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen:
            raise BadParameter(name[:SHOWN_NAME_CHARS], "was given more than once")
        seen.add(name)


def problem(status: int, description: str, title: str, detail: str) -> Responses:
    """One way in which a route can fail."""
    example = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    content = {PROBLEM_JSON: {"schema": _PROBLEM_SCHEMA, "example": example}}
    return {status: {"description": description, "content": content}}


BAD_PARAMETER = problem(
    422,
    "A parameter is not acceptable; `detail` names it.",
    "Unprocessable Content",
    "Parameter limit: Input should be less than or equal to 500.",
)
NO_DATABASE = problem(
    503,
    "The database does not answer, or not in time; ask again after `Retry-After` seconds.",
    "Service Unavailable",
    "The database does not answer now; ask again in a moment.",
)


def answers(model: Any, example: object) -> Responses:
    """The `responses` of a route that asks the database, for the OpenAPI document."""
    success = {"model": model, "content": {"application/json": {"example": example}}}
    return {200: success, **BAD_PARAMETER, **NO_DATABASE}


def missing(detail: str) -> Responses:
    """What a route answers for one thing that is not there."""
    return problem(404, "There is no such thing.", "Not Found", detail)
