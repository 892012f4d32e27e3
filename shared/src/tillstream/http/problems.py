"""Errors as RFC 9457 `application/problem+json`: one sentence in `detail`, no stack trace, little of the input."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tillstream.errors import Retryable
from tillstream.http.json_response import PROBLEM_JSON, json_response

RETRY_AFTER_S = 1
MAX_DETAIL_CHARS = 500
MAX_NAMED_ERRORS = 10
MAX_NAME_CHARS = 80  # an unknown parameter has whatever name the client gave it
CLIENT_GONE = 499  # nobody reads it; the access log shows it


class Problem(Exception):
    """An answer other than success, raised anywhere in a request.

    `extra` becomes further members of the body. `headers` are added to the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


def problem_response(problem: Problem) -> Response:
    """The body's `type` is `about:blank`: the status code and the further members say what a program needs."""
    body = {
        "type": "about:blank",
        "title": _title(problem.status),
        "status": problem.status,
        "detail": problem.detail[:MAX_DETAIL_CHARS],
        **problem.extra,
    }
    return json_response(body, problem.status, headers=problem.headers, media_type=PROBLEM_JSON)


def unavailable(
    detail: str, *, extra: Mapping[str, Any] | None = None, retry_after_s: int = RETRY_AFTER_S
) -> Problem:
    """503: nothing is wrong with the request; the client may send it again after `retry_after_s`."""
    return Problem(503, detail, extra=extra, headers={"Retry-After": str(retry_after_s)})


def too_many(detail: str, *, retry_after_s: int) -> Problem:
    """429: nothing is wrong with the request but that this client takes more than its part."""
    return Problem(429, detail, headers={"Retry-After": str(retry_after_s)})


def bug_problem() -> Problem:
    """500: for a bug, whoever meets it first."""
    return Problem(500, "Something went wrong on our side; the request id leads to the log line.")


def install_handlers(app: FastAPI) -> None:
    """Turn every error of a request into a problem. What is left unhandled here is a bug: see `middleware`."""
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(Retryable, _answer_retryable)
    app.add_exception_handler(Exception, _answer_bug)


async def _answer_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _answer_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_parameter_error(each) for each in error.errors()[:MAX_NAMED_ERRORS]]
    first = errors[0]
    return problem_response(
        Problem(422, f"Parameter {first['name']}: {first['message']}.", extra={"errors": errors})
    )


async def _answer_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = (
        error.detail
        if error.detail != _title(error.status_code)
        else _DETAILS.get(error.status_code, error.detail)
    )
    return problem_response(Problem(error.status_code, detail, headers=error.headers))


async def _answer_retryable(_request: Request, error: Exception) -> Response:
    return problem_response(unavailable(str(error)))


async def _answer_bug(_request: Request, _error: Exception) -> Response:
    """Starlette raises the error again when this is sent, and RequestLog writes it down."""
    return problem_response(bug_problem())


def _parameter_error(error: Mapping[str, Any]) -> dict[str, str]:
    """Pydantic's own message names the rule; the value itself stays out."""
    location: Sequence[Any] = error["loc"]
    where, *path = [str(part) for part in location]
    name = (".".join(path) or where)[:MAX_NAME_CHARS]
    return {"name": name, "in": where, "message": str(error["msg"]).rstrip(".")}


def _title(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Client Closed Request"


_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not answer this method.",
}
