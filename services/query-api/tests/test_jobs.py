"""File jobs and the rejects file that is made from quarantine."""

import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from query_api.rejects import ROWS_PER_PAGE
from tillstream.testing.shop_rows import LONG_AGO, ShopRows

from .conftest import Api

pytestmark = pytest.mark.integration

COLUMNS = ["order_id", "user_id", "order_date", "status", "total_amount"]
FORM = Jsonb({"columns": COLUMNS, "separator": ","})
VERSION = bytes(range(40))


async def test_a_job_is_answered_with_its_statement(api: Api, rows: ShopRows) -> None:
    job_id, twin = uuid4(), uuid4()
    rows.job(
        "duplicate",
        job_id=job_id,
        kind="order",
        sha256="ab" * 32,
        bytes=5_120,
        rows=100,
        loaded=90,
        unchanged=1,
        superseded=2,
        duplicate=3,
        parked=0,
        rejected=4,
        started_at=LONG_AGO,
        finished_at=LONG_AGO + timedelta(seconds=2),
        settled_at=LONG_AGO + timedelta(seconds=3),
        elapsed_seconds="1.600",
        duplicate_of=twin,
        dialect=Jsonb(
            {"columns": COLUMNS, "separator": ",", "encoding": "utf-16-le", "encoding_certainty": "detected"}
        ),
    )
    assert await api.get(f"/jobs/{job_id}") == {
        "job_id": str(job_id),
        "file_name": "orders.csv",
        "source": "shop",
        "kind": "order",
        "status": "duplicate",
        "sha256": "ab" * 32,
        "bytes": 5_120,
        "rows": 100,
        "loaded": 90,
        "unchanged": 1,
        "superseded": 2,
        "duplicate": 3,
        "parked": 0,
        "rejected": 4,
        "elapsed_seconds": 1.6,
        "rows_per_second": 62.5,
        "error": None,
        "created_at": "2024-01-01T00:00:00Z",
        "finished_at": "2024-01-01T00:00:02Z",
        "settled_at": "2024-01-01T00:00:03Z",
        "duplicate_of": str(twin),
        "encoding": "utf-16-le",
        "encoding_certainty": "detected",
        "percent": 0,
        "eta_seconds": None,
        "corrects": [],
        "corrected_by": [],
    }


async def test_jobs_tell_whose_rejects_they_correct_and_which_jobs_corrected_theirs(
    api: Api, rows: ShopRows
) -> None:
    first, second, late, other = (rows.job(job_id=UUID(int=number)) for number in range(1, 5))
    for job_id, corrects in ((late, second), (late, first), (other, first)):
        rows.insert("file_job_corrections", job_id=job_id, corrects=corrects)
    wanted = {
        str(first): ([], [str(late), str(other)]),
        str(second): ([], [str(late)]),
        str(late): ([str(first), str(second)], []),
        str(other): ([str(first)], []),
    }
    for job in [*(await api.get("/jobs"))["jobs"], *[await api.get(f"/jobs/{job_id}") for job_id in wanted]]:
        assert (job["corrects"], job["corrected_by"]) == wanted[job["job_id"]]


async def test_a_running_job_tells_how_far_it_is_and_how_long_the_rest_takes(
    api: Api, rows: ShopRows
) -> None:
    half_way = {"kind": "order", "bytes": 1_000, "elapsed_seconds": "30.000", "started_at": LONG_AGO}
    headed = rows.job("running", next_byte=100, **half_way)
    half_way |= {"rows": 9, "loaded": 9}
    plain = rows.job("running", next_byte=750, **half_way)
    packed = rows.job("running", next_byte=1_000, dialect=Jsonb({"text_bytes": 4_000}), **half_way)
    begun = rows.job("running", started_at=LONG_AGO)
    wanted = {plain: (75.0, 10), packed: (25.0, 90), headed: (10.0, None), begun: (None, None)}
    for job_id, found in wanted.items():
        answer = await api.get(f"/jobs/{job_id}")
        assert (answer["percent"], answer["eta_seconds"]) == found


async def test_a_queued_job_has_no_speed_and_a_running_one_the_speed_so_far(api: Api, rows: ShopRows) -> None:
    queued, running = (
        rows.job("queued"),
        rows.job("running", started_at=datetime.now(UTC) - timedelta(seconds=100), rows=500, loaded=500),
    )
    answer = await api.get(f"/jobs/{queued}")
    assert (answer["elapsed_seconds"], answer["rows_per_second"], answer["kind"]) == (None, None, None)
    answer = await api.get(f"/jobs/{running}")
    assert 100 <= answer["elapsed_seconds"] < 110
    assert 4.5 <= answer["rows_per_second"] <= 5.0


async def test_pages_hold_every_job_once_newest_first(api: Api, rows: ShopRows) -> None:
    made = [rows.job(created_at=LONG_AGO + timedelta(seconds=number // 3)) for number in range(7)]
    newest_first = sorted(made, key=lambda job_id: (made.index(job_id) // 3, job_id), reverse=True)
    pages = [await api.get("/jobs", limit=2)]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(await api.get("/jobs", limit=2, cursor=cursor))
    assert [len(page["jobs"]) for page in pages] == [2, 2, 2, 1]
    assert [job["job_id"] for page in pages for job in page["jobs"]] == list(map(str, newest_first))


async def test_jobs_are_found_by_file_name_source_and_status(api: Api, rows: ShopRows) -> None:
    of_may = {"file_name": "users of May.csv", "source": "partner"}
    wanted = rows.job("failed", **of_may, error="unknown_header: …")
    rows.job("loaded", **of_may)
    rows.job("failed", **of_may | {"source": "shop"})
    rows.job("failed", **of_may | {"file_name": "users.csv"})
    found = await api.get("/jobs", **of_may, status="failed")
    assert [(job["job_id"], job["error"]) for job in found["jobs"]] == [(str(wanted), "unknown_header: …")]


@pytest.mark.parametrize("path", ["/jobs/{}", "/jobs/{}/rejects.csv"])
async def test_a_missing_job_is_a_problem(api: Api, path: str) -> None:
    response = await api.client.get(path.format(uuid4()))
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def _refuse(
    rows: ShopRows, job_id: UUID, line: int, text: str, encoding: str = "utf-8", **more: object
) -> UUID:
    facts = {
        "entity": "order",
        "reason": "invalid_status",
        "message": "status is wrong.",
        "version": VERSION,
        **more,
    }
    return rows.refused(text.encode(encoding), job_id=job_id, line=line, **facts)


def _read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


async def test_the_rejects_file_has_the_reasons_and_the_original_columns(api: Api, rows: ShopRows) -> None:
    job_id = rows.job("loaded_with_rejects", file_name='Bestellungen "März".csv', dialect=FORM)
    message_id = _refuse(rows, job_id, 7, "7,1,2024-03-01,lost,10.00")
    _refuse(rows, job_id, 5, "5,1,2024-03-01,gone,10.00")
    _refuse(rows, job_id, 6, "6,1,2024-03-01,gone,10.00", resolved_at=LONG_AGO, resolution="stored")
    _refuse(rows, rows.job(), 8, "8,1,2024-03-01,other,10.00")
    response = await api.client.get(f"/jobs/{job_id}/rejects.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == (
        f"attachment; filename*=UTF-8''{job_id}__Bestellungen%20%22M%C3%A4rz%22.csv.rejects.csv"
    )
    found = _read(response.content)
    assert [row["line"] for row in found] == ["5", "7"]
    assert found[1] == {
        "line": "7",
        "reason": "invalid_status",
        "message": "status is wrong.",
        "message_id": str(message_id),
        "version": f"v{VERSION.hex()}",
        **dict(zip(COLUMNS, ["7", "1", "2024-03-01", "lost", "10.00"], strict=True)),
    }


async def test_rejects_of_a_file_in_another_encoding_are_utf_8_like_all(api: Api, rows: ShopRows) -> None:
    form = Jsonb({"columns": COLUMNS, "separator": ",", "encoding": "utf-16-le"})
    job_id = rows.job("loaded_with_rejects", dialect=form)
    _refuse(rows, job_id, 7, "7,1,2024-03-01,Zoë,10.00", "utf-16-le")
    response = await api.client.get(f"/jobs/{job_id}/rejects.csv")
    assert [(row["order_id"], row["status"]) for row in _read(response.content)] == [("7", "Zoë")]


async def test_a_job_without_rejects_gives_a_header(api: Api, rows: ShopRows) -> None:
    known = await api.client.get(f"/jobs/{rows.job(dialect=FORM)}/rejects.csv")
    assert (
        known.content.decode("utf-8-sig") == f"line,reason,message,message_id,version,{','.join(COLUMNS)}\r\n"
    )
    unread = await api.client.get(f"/jobs/{rows.job('queued')}/rejects.csv")
    assert unread.content.decode("utf-8-sig") == "line,reason,message,message_id,version\r\n"


async def test_a_long_rejects_file_has_every_row_once_and_one_header(api: Api, rows: ShopRows) -> None:
    job_id = rows.job(dialect=FORM)
    wanted = 2 * ROWS_PER_PAGE + 1
    rows.run(
        "INSERT INTO shop.quarantine (message_id, content_hash, entity, reason, message, version, payload, source, job_id,"
        " line, accepted_at) SELECT gen_random_uuid(), '', 'order', 'invalid_status', 'm', '', 'a,b', 'shop',"
        f" '{job_id}', line, now() FROM generate_series(1, {wanted}) AS line"
    )
    response = await api.client.get(f"/jobs/{job_id}/rejects.csv")
    assert [row["line"] for row in _read(response.content)] == [str(line) for line in range(1, wanted + 1)]
