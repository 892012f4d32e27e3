"""The two services over HTTP: a file goes in at ingest-api, query-api tells what became of it.

Every wait ends at the deadline of the caller, in seconds of `time.monotonic()`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

from tillstream_dags.errors import Refused, Unavailable
from tillstream_dags.plain_files import open_plain

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 60.0
PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
SHOWN_CHARACTERS = 500
# Another request sends the same file, the door is full or its disk is, or something between us is away.
COME_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504, 507})
NOT_FOUND = 404

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send. The same key stands for the same bytes, name and source."""

    path: Path
    source: str
    as_of: datetime
    key: str


class Doors:
    """One HTTP client for both services; used in a `with`."""

    def __init__(self, ingest_url: str, query_url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._ingest_url = ingest_url
        self._query_url = query_url
        self._sleep = sleep
        self._client = httpx.Client(timeout=httpx.Timeout(ANSWER_WITHIN_S, connect=CONNECT_WITHIN_S))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, upload: Upload, deadline: float) -> Json:
        """Stream a file to ingest-api and return its answer; may be repeated under the same key.

        Raises Refused where the door says no, Unavailable where it does not take the file by the deadline or the file
        was written while it was sent.
        """
        parameters = {
            "name": upload.path.name,
            "source": upload.source,
            "as_of": upload.as_of.isoformat(),
        }
        headers = {"Content-Type": "text/csv", "Idempotency-Key": upload.key}

        def request() -> httpx.Response:
            with open_plain(upload.path) as file:  # httpx reads it piece by piece
                return self._client.post(
                    f"{self._ingest_url}/ingest/files", params=parameters, headers=headers, content=file
                )

        return self._answer(request, f"ingest-api, asked to take {upload.path.name},", deadline)

    def job(self, job_id: str, deadline: float) -> Json | None:
        """The job's row as query-api has it, or None while no loader has seen it."""
        address = f"{self._query_url}/jobs/{quote(job_id, safe='')}"
        response = self._response(lambda: self._client.get(address), "query-api", deadline)
        return None if response.status_code == NOT_FOUND else _json(response, "query-api")

    def _answer(self, request: Callable[[], httpx.Response], who: str, deadline: float) -> Json:
        return _json(self._response(request, who, deadline), who)

    def _response(self, request: Callable[[], httpx.Response], who: str, deadline: float) -> httpx.Response:
        """The first answer that another try would not change."""
        pause = PAUSE_S
        while True:
            asked_for = None
            try:
                response = request()
            except httpx.LocalProtocolError as error:  # the file has not as many bytes as it had
                raise Unavailable(f"{who} was not sent a whole request: {error}") from error
            except httpx.TransportError as error:
                problem = f"did not answer: {error or type(error).__name__}"
            else:
                if response.status_code not in COME_AGAIN:
                    return response
                problem = f"answered {response.status_code}: {_said(response)}"
                asked_for = _seconds(response.headers)
            wait = min(asked_for or pause, MAX_PAUSE_S)
            if time.monotonic() + wait > deadline:
                raise Unavailable(f"{who} {problem}")
            self._sleep(wait)
            pause = min(pause * 2, MAX_PAUSE_S)


def _json(response: httpx.Response, who: str) -> Json:
    if response.is_success:
        answer: Json = response.json()
        return answer
    raise Refused(f"{who} answered {response.status_code}: {_said(response)}")


def _said(response: httpx.Response) -> str:
    """The sentence of a problem after RFC 9457, or the beginning of whatever came."""
    kind = Message()
    kind["Content-Type"] = response.headers.get("Content-Type", "")
    if kind.get_content_type() == "application/problem+json":
        return str(response.json().get("detail"))[:SHOWN_CHARACTERS]
    return response.text[:SHOWN_CHARACTERS]


def _seconds(headers: Mapping[str, str]) -> float | None:
    asked = headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None
