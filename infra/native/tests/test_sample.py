"""The sample shop is loaded once, whatever else was dropped under the names of its files."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tillstream_native.places import Places
from tillstream_native.sample import SAMPLE, copy_to_raw, load_sample
from tillstream_native.system import LOCALHOST, CannotRun

pytestmark = pytest.mark.unit

SOON_S = 0.3
WITHIN_S = 10.0
MOMENT = "2024-12-31T12:00:00Z"
CLEAN = b"user_id\n1\n"
DIRTY = b"user_id\n1_0\n"


class Desk:
    """Watcher, loader and query-api in one: a question about jobs claims and loads what lies in the input folder."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.jobs: list[dict[str, Any]] = []
        self.page_rows = 500
        self.status = 200
        self.error: str | None = None

    def job(self, content: bytes, *, settled: bool = True, status: str = "loaded") -> None:
        """The newest job, of a file of this content."""
        digest = hashlib.sha256(content).hexdigest()
        self.jobs.insert(
            0,
            {
                "file_name": "users.csv",
                "sha256": digest,
                "status": status,
                "settled_at": MOMENT if settled else None,
                "error": self.error,
                "rows": 1,
            },
        )

    def answer(self, question: dict[str, list[str]]) -> dict[str, Any]:
        for file in self.places.inbox.iterdir():
            self.job(file.read_bytes(), status="failed" if self.error else "loaded", settled=not self.error)
            file.unlink()
        start = int(question.get("cursor", ["0"])[0])
        end = start + self.page_rows
        return {
            "jobs": self.jobs[start:end],
            "next_cursor": str(end) if end < len(self.jobs) else None,
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    places = Places(tmp_path / "state", tmp_path / "cache")
    places.inbox.mkdir(parents=True)
    return Desk(places)


@pytest.fixture
def port(desk: Desk) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(desk.answer(parse_qs(urlsplit(self.path).query))).encode()
            self.send_response(desk.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer((LOCALHOST, 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "users.csv").write_bytes(CLEAN)
    return folder


def test_sample_is_dropped_once(desk: Desk, port: int, sample: Path) -> None:
    for _ in range(2):
        [job] = load_sample(desk.places, port, WITHIN_S, sample)
        assert job["rows"] == 1
    assert len(desk.jobs) == 1


@pytest.mark.parametrize("page_rows", [500, 1])
def test_later_file_of_the_same_name_that_never_settles_changes_nothing(
    desk: Desk, port: int, sample: Path, page_rows: int
) -> None:
    desk.page_rows = page_rows
    desk.job(CLEAN)
    desk.job(DIRTY, settled=False)
    desk.job(DIRTY, status="failed", settled=False)
    [job] = load_sample(desk.places, port, SOON_S, sample)
    assert job["sha256"] == hashlib.sha256(CLEAN).hexdigest()
    assert len(desk.jobs) == 3


def test_another_file_of_the_same_name_before_the_sample_does_not_count_as_it(
    desk: Desk, port: int, sample: Path
) -> None:
    desk.job(DIRTY)
    load_sample(desk.places, port, WITHIN_S, sample)
    assert [job["sha256"] for job in desk.jobs] == [
        hashlib.sha256(content).hexdigest() for content in (CLEAN, DIRTY)
    ]


def test_another_file_that_waits_in_the_input_folder_is_not_written_over(
    desk: Desk, port: int, sample: Path
) -> None:
    (desk.places.inbox / "users.csv").write_bytes(DIRTY)
    load_sample(desk.places, port, WITHIN_S, sample)
    assert [job["sha256"] for job in desk.jobs] == [
        hashlib.sha256(content).hexdigest() for content in (CLEAN, DIRTY)
    ]


def test_sample_that_is_claimed_already_is_waited_for(desk: Desk, port: int, sample: Path) -> None:
    work = desk.places.data / "work"
    work.mkdir()
    (work / "0190f7a8__users.csv").write_bytes(CLEAN)
    with pytest.raises(CannotRun, match=r"users\.csv did not load within"):
        load_sample(desk.places, port, SOON_S, sample)
    assert desk.jobs == []


def test_nothing_is_dropped_while_nobody_can_say_what_came_before(
    desk: Desk, port: int, sample: Path
) -> None:
    desk.status = 503
    with pytest.raises(CannotRun, match=r"users\.csv did not load within"):
        load_sample(desk.places, port, SOON_S, sample)
    assert desk.jobs == []


def test_sample_that_fails_says_why(desk: Desk, port: int, sample: Path) -> None:
    desk.error = "The disk is full."
    with pytest.raises(CannotRun, match=r"users\.csv failed: The disk is full\."):
        load_sample(desk.places, port, WITHIN_S, sample)


def test_the_folder_of_the_nightly_run_gets_the_sample_once_and_is_the_shops_own_then(tmp_path: Path) -> None:
    places = Places(tmp_path / "state", tmp_path / "cache")
    places.create()

    copy_to_raw(places)

    assert {file.name: file.read_bytes() for file in places.raw.iterdir()} == {
        file.name: file.read_bytes() for file in SAMPLE.glob("*.csv")
    }
    (places.raw / "users.csv").write_bytes(CLEAN)
    (places.raw / "events.csv").unlink()
    copy_to_raw(places)
    assert (places.raw / "users.csv").read_bytes() == CLEAN
    assert not (places.raw / "events.csv").exists()


def test_a_copy_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    places = Places(tmp_path / "state", tmp_path / "cache")
    places.create()
    (places.data / ".raw.half").mkdir()
    (places.data / ".raw.half" / "stale.csv").write_bytes(CLEAN)

    copy_to_raw(places)

    assert not (places.raw / "stale.csv").exists()
