"""What the document says of every route: how it can go wrong."""

from typing import Any

from tillstream.http.json_response import PROBLEM_JSON

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
