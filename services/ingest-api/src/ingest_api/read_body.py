"""From a body's bytes to its items: a JSON array, one JSON object, or a line each (NDJSON).

The bounds on bytes and time are held by the middleware around `receive`; here they end in a problem by themselves.
"""

from dataclasses import dataclass
from email.message import Message

from starlette.datastructures import Headers
from starlette.types import Receive

from ingest_api.policy import IngestPolicy
from ingest_api.room import Seat
from tillstream.contracts.parsing import parse_json
from tillstream.errors import MalformedJson
from tillstream.http.problems import Problem

JSON_TYPE = "application/json"
MAX_TYPE_CHARS = 200  # the time to parse one grows with the square of its length
NDJSON_TYPE = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line of NDJSON that is not JSON; it counts as one rejected item."""

    line: bytes
    message: str


def media_type(headers: Headers) -> str:
    """JSON_TYPE or NDJSON_TYPE; raises Problem 415 for anything else, and for encodings of the body."""
    parsed = content_type(headers)
    kind = parsed.get_content_type()
    if kind not in {JSON_TYPE, NDJSON_TYPE}:
        raise Problem(415, f"The Content-Type must be {JSON_TYPE} or {NDJSON_TYPE}.")
    if str(parsed.get_param("charset", "utf-8")).lower() not in {"utf-8", "utf8"}:
        raise Problem(415, "The body must be in UTF-8.")
    return kind


def content_type(headers: Headers) -> Message:
    """The Content-Type, taken apart; one of no type where it cannot be. Raises Problem 415 for encodings of the body."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "A body with a Content-Encoding is not read; send it as it is.")
    given = headers.get("content-type", "")
    parsed = Message()
    # A "*" is of parameters in pieces, which the library puts together at any cost. What is not read is of neither type.
    if len(given) <= MAX_TYPE_CHARS and "*" not in given:
        parsed["Content-Type"] = given
    return parsed


async def read_body(receive: Receive, seat: Seat) -> bytes:
    """The whole body; raises what the limits around `receive` raise, and Problem 503 when there is no room."""
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        seat.hold(len(chunk))
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def items_of(body: bytes, kind: str, policy: IngestPolicy) -> list[object]:
    """The items in order; an UnreadableLine stands for a line that is not JSON.

    Raises Problem: 400 when the body is not JSON, 413 for too many items, 422 when there is none.
    """
    items = _lines(body, policy) if kind == NDJSON_TYPE else _document(body)
    if len(items) > policy.max_items:
        raise _too_many(policy)
    if not items:
        raise Problem(422, "The body holds no item.")
    return items


def _document(body: bytes) -> list[object]:
    try:
        document = parse_json(body)
    except MalformedJson as error:
        raise Problem(400, str(error)) from None
    return document if isinstance(document, list) else [document]


def lines_of(body: bytes) -> list[bytes]:
    """The lines of an NDJSON body. Blank lines are skipped; they are bounded by the size of the body."""
    return [line for line in body.split(b"\n") if line.strip(b" \t\r")]


def _lines(body: bytes, policy: IngestPolicy) -> list[object]:
    lines = lines_of(body)
    if len(lines) > policy.max_items:
        raise _too_many(policy)
    return [_line(line) for line in lines]


def _line(line: bytes) -> object:
    try:
        return parse_json(line)
    except MalformedJson as error:
        return UnreadableLine(line, str(error))


def _too_many(policy: IngestPolicy) -> Problem:
    return Problem(413, f"A request may have {policy.max_items} items at most.")
