"""Files that are only examined: the doctor's word over HTTP, and nothing left behind whatever ends it."""

import asyncio
import gzip
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from ingest_api import dry_run
from ingest_api.policy import DryRunPolicy, UploadPolicy
from ingest_api.settings import IngestSettings
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.csv.diagnosis import diagnosis
from tillstream.csv.doctor import Terms, examine
from tillstream.csv.encoding import Encoding
from tillstream.folders import Folders
from tillstream.testing.waiting import eventually

from .conftest import NOW, Bench, open_bench, problem

pytestmark = pytest.mark.unit

HEAD = "user_id,name,email,signup_date\n"
GOOD = (HEAD + "1,Zoë,zoe@example.org,2024-01-05\n2,Bob,bob@example.org,2024-01-06\n").encode()
DIRTY = GOOD + b"3,Ann,ann,2024-01-06\n1,Zoe,z@example.org,2024-01-05\n4,Late,l@example.org,2030-01-01\n"
MAX_BYTES = 5_000_000
BERLIN = ZoneInfo("Europe/Berlin")
ONE = DryRunPolicy(max_dry_runs=1)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    folders.create()
    return folders


class Asker:
    """A door that takes files, and a client of it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._others = children()  # servers that other tests of this process have started

    def examinations(self) -> set[int]:
        """Processes that were started since, those that ended and were not waited for included."""
        return children() - self._others

    async def ask(
        self, content: bytes | AsyncIterator[bytes], name: str = "users.csv", query: str = "", **headers: str
    ) -> httpx2.Response:
        return await self.bench.client.post(
            f"/ingest/files?name={name}&dry_run=true{query}",
            content=content,
            headers={"content-type": "text/csv", **headers},
        )

    async def diagnosis(self, content: bytes, name: str = "users.csv", query: str = "") -> dict[str, Any]:
        answer = await self.ask(content, name, query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        body: dict[str, Any] = answer.json()
        return body


@asynccontextmanager
async def door(folders: Folders, policy: DryRunPolicy = ONE) -> AsyncIterator[Asker]:
    settings = IngestSettings(
        ingest_port=0, ops_port=0, data_dir=folders.root, file_max_bytes=MAX_BYTES, shop_timezone=BERLIN
    )
    upload = UploadPolicy(piece_bytes=1_000)
    async with open_bench(upload=upload, dry_run=policy, settings=settings) as bench:
        bench.broker.create_topic(FILES_TOPIC, 3)
        assert bench.app.uploads is not None
        assert bench.app.dry_runs is not None
        await bench.app.uploads.open()
        bench.app.dry_runs.open()
        yield Asker(bench)
        await bench.app.dry_runs.close()
        await bench.app.uploads.close()


@pytest.fixture
async def asker(folders: Folders) -> AsyncIterator[Asker]:
    async with door(folders) as asker:
        yield asker


def everything(folders: Folders) -> Iterator[Path]:
    return (path for path in folders.root.rglob("*") if path.is_file())


def children() -> set[int]:
    """Processes of which this one is the parent."""
    found = Path("/proc/self/task").glob("*/children")
    return {int(each) for path in found for each in path.read_text().split()}


def open_without_a_name(folders: Folders) -> list[str]:
    """Files under the directory that this process has open and that have no name any more."""
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if os.path.lexists(each)]
    return [each for each in links if each.startswith(str(folders.root)) and each.endswith(" (deleted)")]


def nothing_is_left(folders: Folders, asker: Asker) -> bool:
    in_flight = asker.bench.count("ingest_dry_runs_in_flight")
    return (
        not in_flight
        and not list(everything(folders))
        and not asker.examinations()
        and not open_without_a_name(folders)
    )


async def rows(first: bytes, count: int = 10**9) -> AsyncIterator[bytes]:
    yield first
    for number in range(count):
        yield b"%d,Ann,ann%d@example.org,2024-01-05\n" % (number + 1, number)
        await asyncio.sleep(0)


CASES = {
    "good": ("users.csv", GOOD, None),
    "dirty": ("users.csv", DIRTY, None),
    "undeclared": ("users.csv", GOOD.decode().encode("windows-1252"), None),
    "declared": ("users.csv", GOOD.decode().encode("windows-1252"), Encoding.WINDOWS_1252),
    "declared against its mark": ("users.csv", GOOD.decode().encode("utf-16"), Encoding.WINDOWS_1252),
    "packed": ("users.csv.gz", gzip.compress(DIRTY, mtime=0), None),
    "broken off": ("users.csv.gz", gzip.compress(GOOD, mtime=0)[:-9], None),
    "archive": ("users.csv", b"PK\x03\x04" + b"x" * 100, None),
    "other columns": ("users.csv", b"user_id,nome\n1,Ada\n", None),
    "blank": ("users.csv", b"\n\n", None),
    "text": ("notes.txt", GOOD, None),
    "unknown": ("notes", b"Dear partner,\n", None),
    "odd name": ("%E2%80%98n%C3%A4me%E2%80%99%20%22%5B.csv", GOOD, None),
}


@pytest.mark.parametrize(("name", "content", "encoding"), CASES.values(), ids=CASES)
async def test_the_door_says_what_the_doctor_says_and_keeps_nothing(
    folders: Folders, asker: Asker, name: str, content: bytes, encoding: Encoding | None
) -> None:
    said = await asker.diagnosis(content, name, f"&encoding={encoding}" if encoding else "")
    plain = str(httpx2.URL(f"http://x/?name={name}").params["name"])
    with TemporaryFile() as file:
        file.write(content)
        expected = diagnosis(plain, examine(file, plain, Terms(NOW, BERLIN, encoding)))
    assert said == json.loads(json.dumps(expected))
    assert nothing_is_left(folders, asker)
    assert not any(asker.bench.broker.log(place).records for place in asker.bench.broker.places(FILES_TOPIC))
    assert asker.bench.count("ingest_dry_runs_total") == 1


async def test_a_dirty_file_has_its_rejects_told(asker: Asker) -> None:
    said = await asker.diagnosis(DIRTY)
    assert (said["verdict"], said["rows"], said["would_load"]) == ("loaded_with_rejects", 5, 2)
    assert [(each["line"], each["reason"]) for each in said["rejects"]] == [
        (4, "invalid_email"),
        (5, "duplicate_key"),
        (6, "invalid_timestamp"),
    ]


async def test_a_dry_run_uses_no_key_up_and_the_same_request_then_loads(
    folders: Folders, asker: Asker
) -> None:
    answer = await asker.ask(GOOD, query="&source=acme&as_of=2024-05-31", **{"idempotency-key": "k-1"})
    assert answer.status_code == 200
    sent = await asker.bench.client.post(
        "/ingest/files?name=users.csv&source=acme&as_of=2024-05-31&dry_run=false",
        content=DIRTY,
        headers={"content-type": "text/csv", "idempotency-key": "k-1"},
    )
    assert (sent.status_code, sent.json()["repeated"]) == (202, False)
    again = await asker.ask(GOOD, **{"idempotency-key": "k-1"})
    assert again.json()["verdict"] == "loaded"
    assert len(list(everything(folders))) == 2


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("&encoding=latin-9", "encoding"),
        ("&as_of=soon", "as_of"),
        ("&dry_run=true", "dry_run"),
        ("&x=1", "x"),
    ],
)
async def test_parameters_keep_their_rules(folders: Folders, asker: Asker, query: str, name: str) -> None:
    assert problem(await asker.ask(GOOD, query=query), 422)["errors"][0]["name"] == name
    assert nothing_is_left(folders, asker)


async def test_bodies_keep_their_rules(folders: Folders, asker: Asker) -> None:
    problem(await asker.ask(b""), 422)
    problem(await asker.ask(b"x" * (MAX_BYTES + 1)), 413)
    problem(await asker.ask(GOOD, **{"content-type": "text/plain"}), 415)
    assert nothing_is_left(folders, asker)


async def test_more_at_once_than_the_bound_is_asked_to_come_again(folders: Folders, asker: Asker) -> None:
    end = asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield GOOD
        await end.wait()

    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(asker.ask(aiter(held())))
        await eventually(lambda: asker.bench.count("ingest_dry_runs_in_flight") == 1)
        late = await asker.ask(GOOD)
        assert "examined at once" in problem(late, 503)["detail"]
        assert late.headers["retry-after"] == str(ONE.retry_after_s)
        end.set()
    assert first.result().status_code == 200
    assert (await asker.ask(GOOD)).status_code == 200
    assert nothing_is_left(folders, asker)


async def test_when_time_is_up_the_answer_says_what_was_found_by_then(folders: Folders) -> None:
    async with door(folders, DryRunPolicy(report_s=0.0)) as asker:
        said = await asker.diagnosis(GOOD)
        assert (said["verdict"], said["complete"], said["bytes"]) == ("unknown", False, len(GOOD))
        assert said["rows"] == GOOD.count(b"\n") - 1
        assert f"only the first {said['rows']} rows were examined" in said["note"]
        assert nothing_is_left(folders, asker)


async def test_an_examination_that_does_not_end_is_ended(folders: Folders) -> None:
    """The time is over before Python has started."""
    async with door(folders, DryRunPolicy(report_s=0.0, grace_s=0.0)) as asker:
        answer = await asker.ask(GOOD)
        assert "not examined within" in problem(answer, 503)["detail"]
        assert answer.headers["retry-after"]
        assert nothing_is_left(folders, asker)


async def test_an_examination_that_fails_is_said_and_leaves_nothing(
    folders: Folders, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "MODULE", "ingest_api.no_such_module")
    answer = await asker.ask(GOOD)
    assert "without an answer" in problem(answer, 503)["detail"]
    assert answer.headers["retry-after"]
    assert nothing_is_left(folders, asker)


async def test_a_system_without_room_for_a_process_is_a_503(
    folders: Folders, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(folders.root / "nowhere"))
    assert "No process" in problem(await asker.ask(GOOD), 503)["detail"]
    assert nothing_is_left(folders, asker)


async def test_a_body_that_is_given_up_leaves_nothing(folders: Folders, asker: Asker) -> None:
    task = asyncio.create_task(asker.ask(rows(GOOD)))
    await eventually(lambda: open_without_a_name(folders))
    task.cancel()
    await asyncio.wait({task})
    assert nothing_is_left(folders, asker)


async def test_an_examination_that_is_given_up_leaves_nothing(folders: Folders, asker: Asker) -> None:
    body = HEAD.encode() + b"".join([piece async for piece in rows(b"", 50_000)])
    task = asyncio.create_task(asker.ask(body))
    await eventually(children)
    task.cancel()
    await asyncio.wait({task})
    await eventually(lambda: nothing_is_left(folders, asker))
    assert (await asker.ask(GOOD)).status_code == 200


async def test_a_door_without_a_folder_examines_no_files(bench: Bench) -> None:
    assert "TILLSTREAM_DATA_DIR" in problem(await Asker(bench).ask(GOOD), 404)["detail"]
