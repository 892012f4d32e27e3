"""Both doors in one HTTP server of the test's own: it takes files and tells of jobs as it is told to."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

LOCALHOST = "127.0.0.1"
KINDS = {
    "users.csv": "user",
    "products.csv": "product",
    "orders.csv": "order",
    "order_items.csv": "order_item",
    "events.csv": "event",
}
PIECE_BYTES = 64 * 1024
POLL_S = 0.02


@dataclass
class Answer:
    """One answer that comes instead of the usual one."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Taken:
    """A request that the upload door saw."""

    name: str
    as_of: str
    key: str
    bytes: int


class Desk:
    """`uploads` is what came; `instead` is answered first; `verdicts` overrides members of a file's jobs, try by try."""

    def __init__(self) -> None:
        self.uploads: list[Taken] = []
        self.instead: list[Answer] = []
        self.verdicts: dict[str, Iterator[dict[str, Any]]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.later: dict[str, list[dict[str, Any]]] = {}
        self._ids: dict[tuple[str, str], str] = {}
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                desk.answer(self, desk.take(self))

            def do_GET(self) -> None:
                desk.answer(self, desk.tell(self.path.rpartition("/")[2]))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the server's own name
                """Says nothing."""

        self._server = ThreadingHTTPServer((LOCALHOST, 0), Handler)
        self.url = f"http://{LOCALHOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, request: BaseHTTPRequestHandler) -> Answer:
        """Read the body and answer as ingest-api does; the same key and name are the same job."""
        length = int(request.headers["Content-Length"])
        left = length
        while left:
            left -= len(request.rfile.read(min(PIECE_BYTES, left)))
        query = parse_qs(urlsplit(request.path).query)
        taken = Taken(query["name"][0], query["as_of"][0], request.headers["Idempotency-Key"], length)
        self.uploads.append(taken)
        if self.instead:
            return self.instead.pop(0)
        known = self._ids.get((taken.name, taken.key))
        if known is None:
            known = self._ids[taken.name, taken.key] = f"job-{len(self.jobs) + 1}"
            self.jobs[known] = self._job(known, taken.name)
            return Answer(202, {"job_id": known, "repeated": False})
        return Answer(202, {"job_id": known, "repeated": True})

    def tell(self, job_id: str) -> Answer:
        """The job; what `later` has of it comes true one look after the other."""
        if job_id not in self.jobs:
            return Answer(404, {"detail": "There is no such job."})
        if self.later.get(job_id):
            self.jobs[job_id] |= self.later[job_id].pop(0)
        return Answer(200, self.jobs[job_id])

    def answer(self, request: BaseHTTPRequestHandler, answer: Answer) -> None:
        body = json.dumps(answer.body).encode()
        request.send_response(answer.status)
        kind = "application/json" if answer.status < 400 else "application/problem+json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **answer.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    def _job(self, job_id: str, name: str) -> dict[str, Any]:
        counts = {"loaded": 10, "unchanged": 0, "superseded": 0, "duplicate": 0, "parked": 0, "rejected": 0}
        usual = {
            "job_id": job_id,
            "file_name": name,
            "kind": KINDS[name],
            "status": "loaded",
            "rows": 10,
            **counts,
            "settled_at": "2024-01-01T00:00:00Z",
            "error": None,
        }
        return {**usual, **next(self.verdicts.get(name, iter(())), {})}
