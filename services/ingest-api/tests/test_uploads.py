"""Files that are sent: what is stored, what is refused, and that a refusal leaves nothing behind."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx2
import pytest

from ingest_api.policy import UploadPolicy
from ingest_api.settings import IngestSettings
from ingest_api.upload_folder import PARTIAL_SUFFIX, UploadFolder
from tillstream.contracts.encodings import DECLARABLE_OF_A_FILE, Encoding
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.file_names import MAX_NAME_BYTES
from tillstream.contracts.files import FileJob, read_job
from tillstream.contracts.ids import new_id
from tillstream.folders import SIDECAR_SUFFIX, Folders, stored_name
from tillstream.testing.waiting import eventually

from .conftest import NOW, Bench, open_bench, problem

pytestmark = pytest.mark.unit

CSV = b"user_id,name\n1,Ada\n"
MAX_BYTES = 3_000
PIECE_BYTES = 100
UPLOAD = UploadPolicy(max_uploads=2, piece_bytes=PIECE_BYTES)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    folders.create()
    return folders


class Sender:
    """One door on the data directory, and a client of it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def send(
        self,
        content: bytes | AsyncIterator[bytes] = CSV,
        name: str | None = "users.csv",
        *,
        key: str | None = None,
        kind: str = "text/csv",
        query: str = "",
    ) -> httpx2.Response:
        headers = {"content-type": kind} | ({"idempotency-key": key} if key else {})
        named = "" if name is None else f"name={quote(name)}"
        return await self.bench.client.post(f"/ingest/files?{named}{query}", content=content, headers=headers)

    async def take(
        self, content: bytes = CSV, name: str = "users.csv", key: str | None = None, query: str = ""
    ) -> dict[str, object]:
        """A file that must be taken."""
        answer = await self.send(content, name, key=key, query=query)
        assert answer.status_code == 202, answer.text
        body: dict[str, object] = answer.json()
        return body


@asynccontextmanager
async def door(folders: Folders) -> AsyncIterator[Sender]:
    """A process on the directory; another one is another replica, or the same after a restart."""
    settings = IngestSettings(
        ingest_port=0,
        ops_port=0,
        data_dir=folders.root,
        file_max_bytes=MAX_BYTES,
        shop_timezone=BERLIN,
        query_url="https://shop.example/query/",
    )
    async with open_bench(upload=UPLOAD, settings=settings) as bench:
        bench.broker.create_topic(FILES_TOPIC, 3)
        assert bench.app.uploads is not None
        await bench.app.uploads.open()
        yield Sender(bench)
        await bench.app.uploads.close()


@pytest.fixture
async def sender(folders: Folders) -> AsyncIterator[Sender]:
    async with door(folders) as sender:
        yield sender


def everything(folders: Folders) -> Iterator[Path]:
    """All files under the directory."""
    return (path for path in folders.root.rglob("*") if path.is_file())


def job_beside(folders: Folders, job_id: object) -> FileJob:
    job = read_job((folders.work / f"{job_id}{SIDECAR_SUFFIX}").read_bytes(), NOW)
    assert isinstance(job, FileJob)
    return job


def sent_jobs(sender: Sender) -> list[FileJob]:
    broker = sender.bench.broker
    records = [record for place in broker.places(FILES_TOPIC) for record in broker.log(place).records]
    return [job for record in records if isinstance(job := read_job(record.value, record.timestamp), FileJob)]


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class Held:
    """A body whose end comes when `end` is set."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self.begun = asyncio.Event()
        self.end = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        self.begun.set()
        await self.end.wait()


async def test_a_sent_file_is_claimed_and_its_job_is_sent(folders: Folders, sender: Sender) -> None:
    answer = await sender.send(query="&source=acme&as_of=2024-05-31T08:00:00Z")
    body = answer.json()
    assert answer.status_code == 202
    assert body == {
        "job_id": body["job_id"],
        "job_url": f"https://shop.example/query/jobs/{body['job_id']}",
        "file_name": "users.csv",
        "source": "acme",
        "bytes": len(CSV),
        "repeated": False,
    }
    assert answer.headers["location"] == body["job_url"]
    job = job_beside(folders, body["job_id"])
    assert (job.file_name, job.source, job.bytes, job.claimed_at) == ("users.csv", "acme", len(CSV), NOW)
    assert job.as_of == datetime(2024, 5, 31, 8, tzinfo=UTC)
    assert (folders.work / job.stored_name).read_bytes() == CSV
    assert sent_jobs(sender) == [job]
    assert len(list(everything(folders))) == 2
    assert sender.bench.count("ingest_uploaded_bytes_total") == len(CSV)


async def test_a_body_in_many_pieces_is_stored_byte_for_byte(folders: Folders, sender: Sender) -> None:
    parts = [os.urandom(size) for size in (1, PIECE_BYTES - 1, PIECE_BYTES, 7 * PIECE_BYTES + 3, 1)]
    body = (await sender.send(pieces(*parts), "odd – näme.csv")).json()
    assert (folders.work / f"{body['job_id']}__odd – näme.csv").read_bytes() == b"".join(parts)


async def test_a_bare_date_as_of_is_the_start_of_that_shop_day(folders: Folders, sender: Sender) -> None:
    body = await sender.take(query="&as_of=2024-05-31")
    assert job_beside(folders, body["job_id"]).as_of == datetime(2024, 5, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "encoding"),
    [
        ("", None),
        ("&encoding=iso-8859-15", Encoding.ISO_8859_15),
        ("&encoding=ISO-8859-15", Encoding.ISO_8859_15),
    ],
)
async def test_a_declared_encoding_stands_in_the_job(
    folders: Folders, sender: Sender, query: str, encoding: Encoding | None
) -> None:
    body = await sender.take(query=query)
    assert job_beside(folders, body["job_id"]).encoding is encoding


async def test_an_unknown_encoding_is_refused_with_the_known_ones(sender: Sender) -> None:
    said = problem(await sender.send(query="&encoding=latin-9"), 422)["detail"]
    assert all(each.value in said for each in DECLARABLE_OF_A_FILE)


async def test_without_a_key_every_request_is_a_job_of_its_own(sender: Sender) -> None:
    first, second = await sender.take(), await sender.take()
    assert first["job_id"] != second["job_id"]
    assert not second["repeated"]


async def test_the_same_key_is_the_same_job_also_at_another_replica(folders: Folders, sender: Sender) -> None:
    first = await sender.take(key="k-1", query="&as_of=2024-05-31&encoding=koi8-r")
    before = job_beside(folders, first["job_id"])
    async with door(folders) as replica:
        again = await replica.take(key="k-1", query="&as_of=2024-05-30&encoding=windows-1251")
        assert sent_jobs(replica) == []
    assert again == {**first, "repeated": True}
    assert job_beside(folders, first["job_id"]) == before
    assert len(list(everything(folders))) == 2


@pytest.mark.parametrize("folder", ["processed", "error"])
async def test_the_same_key_is_the_same_job_after_its_end(
    folders: Folders, sender: Sender, folder: str
) -> None:
    first = await sender.take(key="k-1")
    name = stored_name(job_beside(folders, first["job_id"]).job_id, "users.csv")
    (folders.work / name).rename(folders.root / folder / name)
    folders.sidecar(job_beside(folders, first["job_id"]).job_id).unlink()
    assert (await sender.take(key="k-1"))["job_id"] == first["job_id"]
    assert [path.name for path in everything(folders)] == [name]


@pytest.mark.parametrize(
    "other", [CSV[:-1], CSV + b"2,Bob\n", CSV.replace(b"Ada", b"Eve"), CSV * PIECE_BYTES, b"x"]
)
async def test_another_body_under_a_key_is_refused_and_the_first_one_stays(
    folders: Folders, sender: Sender, other: bytes
) -> None:
    first = await sender.take(key="k-1")
    assert "new key" in problem(await sender.send(other, key="k-1"), 422)["detail"]
    assert (folders.work / f"{first['job_id']}__users.csv").read_bytes() == CSV
    assert len(list(everything(folders))) == 2
    assert sender.bench.count("ingest_key_conflicts_total") == 1


async def test_name_and_source_are_part_of_the_key(sender: Sender) -> None:
    answers = [
        await sender.take(key="k-1"),
        await sender.take(name="orders.csv", key="k-1"),
        await sender.take(key="k-1", query="&source=acme"),
        await sender.take(key="k-2"),
    ]
    assert len({answer["job_id"] for answer in answers}) == len(answers)


async def test_a_refused_body_does_not_use_its_key_up(folders: Folders, sender: Sender) -> None:
    problem(await sender.send(b"x" * (MAX_BYTES + 1), key="k-1"), 413)
    problem(await sender.send(b"", key="k-1"), 422)
    body = await sender.take(key="k-1")
    assert (folders.work / f"{body['job_id']}__users.csv").read_bytes() == CSV


async def test_two_requests_at_once_under_one_key_make_one_file(folders: Folders, sender: Sender) -> None:
    held = Held(CSV)
    async with door(folders) as replica, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(sender.send(aiter(held), key="k-1"))
        await held.begun.wait()
        for each in (sender, replica):
            busy = await each.send(key="k-1")
            problem(busy, 409)
            assert busy.headers["retry-after"]
        held.end.set()
    assert first.result().status_code == 202
    assert len(list(everything(folders))) == 2


async def test_more_at_once_than_the_bound_is_asked_to_come_again(sender: Sender) -> None:
    held = [Held(CSV) for _ in range(UPLOAD.max_uploads)]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(sender.send(aiter(each))) for each in held]
        for each in held:
            await each.begun.wait()
        assert sender.bench.count("ingest_uploads_in_flight") == len(held)
        late = await sender.send()
        problem(late, 503)
        assert late.headers["retry-after"]
        for each in held:
            each.end.set()
    assert [task.result().status_code for task in running] == [202] * len(held)
    assert (await sender.send()).status_code == 202


@pytest.mark.parametrize("declared", [True, False])
async def test_a_file_beyond_the_cap_is_refused_and_nothing_of_it_stays(
    folders: Folders, sender: Sender, declared: bool
) -> None:
    parts = [b"x" * PIECE_BYTES] * (MAX_BYTES // PIECE_BYTES)
    assert (await sender.send(pieces(*parts))).status_code == 202
    before = set(everything(folders))
    body = b"".join(parts) + b"y"
    answer = await sender.send(body if declared else pieces(*parts, b"y"))
    assert str(MAX_BYTES) in problem(answer, 413)["detail"]
    assert set(everything(folders)) == before


async def test_an_upload_that_is_given_up_leaves_nothing_behind(folders: Folders, sender: Sender) -> None:
    held = Held(b"x" * PIECE_BYTES)
    task = asyncio.create_task(sender.send(aiter(held), key="k-1"))
    await held.begun.wait()
    await eventually(lambda: [path.suffix for path in everything(folders)] == [PARTIAL_SUFFIX])
    task.cancel()
    await asyncio.wait({task})
    assert list(everything(folders)) == []
    assert sender.bench.count("ingest_uploads_in_flight") == 0
    assert (await sender.take(key="k-1"))["bytes"] == len(CSV)


async def test_a_door_that_closes_lets_cancelled_uploads_clean_up(folders: Folders, sender: Sender) -> None:
    held = Held(b"x" * PIECE_BYTES)
    task = asyncio.create_task(sender.send(aiter(held)))
    await held.begun.wait()
    await eventually(lambda: list(everything(folders)))
    task.cancel()
    assert sender.bench.app.uploads is not None
    await sender.bench.app.uploads.close()
    assert list(everything(folders)) == []
    await asyncio.wait({task})


NAMES = [
    ("", "name"),
    ("../users.csv", "part of a path"),
    ("a\\b.csv", "part of a path"),
    ("..", "part of a path"),
    ("a\x00.csv", "control character"),
    ("a\n.csv", "control character"),
    ("\u202eusers.csv", "cannot be printed"),
    ("ä" * (MAX_NAME_BYTES // 2 + 1), str(MAX_NAME_BYTES)),
    ("x" * (MAX_NAME_BYTES + 1), str(MAX_NAME_BYTES)),
    (".users.csv", "begins with ."),
    ("users.csv.part", "ends in .tmp or .part"),
    ("users.TMP", "ends in .tmp or .part"),
    ("users.csv.meta.json", "ends in .meta.json"),
]
PARAMETERS = [
    ("&as_of=yesterday", "as_of"),
    ("&as_of=1728988200", "as_of"),
    ("&as_of=1999-12-31T00:00:00Z", "as_of"),
    ("&as_of=2024-06-01T12:05:01Z", "as_of"),
    ("&as_of=2024-02-30", "as_of"),
    ("&as_of=2024-05-31&as_of=2024-05-30", "as_of"),
    ("&encoding=latin-9", "encoding"),
    ("&encoding=", "encoding"),
    ("&encoding=koi8-r&encoding=koi8-r", "encoding"),
    ("&source=a%20b", "source"),
    ("&name=other.csv", "name"),
    ("&dryrun=true", "dryrun"),
]


@pytest.mark.parametrize(("name", "said"), NAMES)
async def test_a_name_that_no_file_may_have_is_refused_with_its_rule(
    folders: Folders, sender: Sender, name: str, said: str
) -> None:
    body = problem(await sender.send(name=name), 422)
    assert body["errors"][0]["name"] == "name"
    assert said in body["detail"]
    assert list(everything(folders)) == []


@pytest.mark.parametrize(("query", "name"), PARAMETERS)
async def test_a_bad_parameter_is_refused_by_its_name(
    folders: Folders, sender: Sender, query: str, name: str
) -> None:
    body = problem(await sender.send(query=query), 422)
    assert body["errors"][0]["name"] == name
    assert list(everything(folders)) == []


async def test_a_name_of_the_greatest_length_is_taken(sender: Sender) -> None:
    assert (await sender.take(name="x" * MAX_NAME_BYTES))["file_name"] == "x" * MAX_NAME_BYTES


async def test_a_request_without_a_name_is_refused(sender: Sender) -> None:
    assert problem(await sender.send(name=None), 422)["errors"][0]["name"] == "name"


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
        "application/json",
    ],
)
async def test_a_type_that_any_web_page_may_send_is_refused(
    folders: Folders, sender: Sender, kind: str
) -> None:
    assert "text/csv" in problem(await sender.send(kind=kind), 415)["detail"]
    assert list(everything(folders)) == []


async def test_a_missing_folder_is_said_and_comes_back_by_itself(folders: Folders, sender: Sender) -> None:
    folders.work.rmdir()
    answer = await sender.send()
    problem(answer, 503)
    assert answer.headers["retry-after"]
    folders.create()
    assert (await sender.send()).status_code == 202


async def test_a_door_without_a_folder_says_that_it_takes_no_files(bench: Bench) -> None:
    answer = await bench.client.post(
        "/ingest/files?name=a.csv", content=CSV, headers={"content-type": "text/csv"}
    )
    assert "TILLSTREAM_DATA_DIR" in problem(answer, 404)["detail"]


async def test_a_file_is_taken_while_the_broker_is_away(folders: Folders, sender: Sender) -> None:
    sender.bench.broker.up = False
    body = await sender.take()
    assert job_beside(folders, body["job_id"]).file_name == "users.csv"
    sender.bench.broker.up = True
    assert sent_jobs(sender) == []


async def test_what_a_crash_left_is_swept_up_and_what_is_being_written_stays(
    folders: Folders, sender: Sender
) -> None:
    left = folders.work / f".{new_id()}{PARTIAL_SUFFIX}"
    left.write_bytes(b"half")
    strange = folders.work / f".mine{PARTIAL_SUFFIX}"
    strange.touch()
    held = Held(b"x" * PIECE_BYTES)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(sender.send(aiter(held)))
        await held.begun.wait()
        assert await asyncio.to_thread(UploadFolder(folders).sweep) == 1
        assert not left.exists()
        held.end.set()
    assert first.result().status_code == 202
    assert strange.exists()


async def test_what_a_crash_left_under_a_key_is_written_anew(folders: Folders, sender: Sender) -> None:
    first = await sender.take(key="k-1")
    for path in everything(folders):
        path.unlink()
    (folders.work / f".{first['job_id']}{PARTIAL_SUFFIX}").write_bytes(b"x" * MAX_BYTES)
    assert (await sender.take(key="k-1"))["job_id"] == first["job_id"]
    assert (folders.work / f"{first['job_id']}__users.csv").read_bytes() == CSV
    assert len(list(everything(folders))) == 2
