"""Files that are sent over HTTP: the same road as a dropped one, once, and with the version that was declared for them."""

import gzip
import json

import pytest

from e2e.driver import FINAL, SIDES, Json, Shop, eventually, now, write_csv

pytestmark = pytest.mark.e2e

HEADERS = {"Content-Type": "text/csv"}
# Ids that no other test has.
FIRST_PRODUCT = 7_700_001


def products(*names: str, first: int = FIRST_PRODUCT) -> bytes:
    rows = [
        {"product_id": str(first + at), "product_name": name, "category": "Sent", "price": "9.50"}
        for at, name in enumerate(names)
    ]
    return write_csv(rows)


async def send(shop: Shop, name: str, content: bytes, key: str | None = None, **parameters: str) -> Json:
    """A file that must be taken."""
    answer = await shop.ingest.post(
        "/ingest/files",
        params={"name": name, "source": "e2e", **parameters},
        content=content,
        headers=HEADERS | ({"Idempotency-Key": key} if key else {}),
    )
    assert answer.status_code == 202, answer.text
    taken: Json = answer.json()
    return taken


async def end_of(shop: Shop, taken: Json) -> Json:
    """The job under the address that the door gave, once it has come to its end."""

    async def ended() -> Json | None:
        answer = await shop.query.get(taken["job_url"])
        return answer.json() if answer.status_code == 200 and answer.json()["status"] in FINAL else None

    job = await eventually(ended)
    assert job["rows"] == sum(job[side] for side in SIDES), job
    return job


async def names_of(shop: Shop, first: int, count: int) -> list[str]:
    found = await shop.rows(
        "SELECT product_name FROM shop.products WHERE product_id BETWEEN %s AND %s ORDER BY product_id",
        *(first, first + count - 1),
    )
    return [name for (name,) in found]


async def test_a_sent_file_is_loaded_and_lies_in_processed(shop: Shop) -> None:
    content = products("Kettle", "Toaster")
    taken = await send(shop, "sent-products.csv", content)
    job = await end_of(shop, taken)
    assert (job["status"], job["rows"], job["loaded"]) == ("loaded", 2, 2)
    assert (job["source"], job["kind"], job["bytes"]) == ("e2e", "product", len(content))
    assert await names_of(shop, FIRST_PRODUCT, 2) == ["Kettle", "Toaster"]
    stored = shop.stack.data_dir / "processed" / f"{taken['job_id']}__sent-products.csv"

    async def put_away() -> bool:
        return stored.exists()

    assert await eventually(put_away)
    assert stored.read_bytes() == content


async def test_a_file_sent_again_under_its_key_is_the_same_job_also_after_a_restart(shop: Shop) -> None:
    content = products("Lamp", first=FIRST_PRODUCT + 100)
    first = await send(shop, "sent-again.csv", content, "again")
    assert (await end_of(shop, first))["status"] == "loaded"
    shop.stack.stop("ingest-api")
    shop.stack.start("ingest-api")
    shop.stack.wait_ready("ingest-api")
    again = await send(shop, "sent-again.csv", content, "again")
    assert again == {**first, "repeated": True}
    assert len((await shop.get("/jobs", file_name="sent-again.csv"))["jobs"]) == 1


async def test_the_declared_moment_decides_which_rows_are_newer(shop: Shop) -> None:
    first = FIRST_PRODUCT + 200
    newer = await send(shop, "as-of-newer.csv", products("New", first=first), as_of="2024-02-02")
    assert (await end_of(shop, newer))["loaded"] == 1
    older = await send(shop, "as-of-older.csv", products("Old", first=first), as_of="2024-02-01")
    assert (await end_of(shop, older))["superseded"] == 1
    assert await names_of(shop, first, 1) == ["New"]
    item = {"product_id": first, "product_name": "Live", "category": "Sent", "price": "9.50"}
    await shop.accept("products", [{**item, "updated_at": now()}])
    await shop.caught_up()
    latest = await send(shop, "as-of-latest.csv", products("Later", first=first), as_of="2024-02-03")
    assert (await end_of(shop, latest))["superseded"] == 1
    assert await names_of(shop, first, 1) == ["Live"]


async def test_a_file_sent_while_kafka_is_away_is_taken_and_loaded_once_it_is_back(shop: Shop) -> None:
    first = FIRST_PRODUCT + 300
    shop.stack.stop("kafka")
    try:
        taken = await send(shop, "sent-into-outage.csv", products("Patient", first=first))
    finally:
        shop.stack.start("kafka")
    shop.stack.wait_ready()
    assert (await end_of(shop, taken))["loaded"] == 1
    assert await names_of(shop, first, 1) == ["Patient"]


async def test_a_packed_file_is_loaded_as_what_it_holds(shop: Shop) -> None:
    first = FIRST_PRODUCT + 400
    taken = await send(shop, "packed.csv.gz", gzip.compress(products("Packed", "Too", first=first)))
    assert (await end_of(shop, taken))["loaded"] == 2
    assert await names_of(shop, first, 2) == ["Packed", "Too"]


async def test_a_file_is_read_in_the_encoding_that_was_declared_for_it(shop: Shop) -> None:
    first = FIRST_PRODUCT + 600
    content = products("Žehlička", first=first).decode().encode("windows-1250")
    job = await end_of(shop, await send(shop, "declared.csv", content, encoding="windows-1250"))
    assert (job["loaded"], job["encoding"], job["encoding_certainty"]) == (1, "windows-1250", "declared")
    assert await names_of(shop, first, 1) == ["Žehlička"]


async def test_a_dry_run_says_what_the_upload_then_does_and_keeps_nothing(shop: Shop) -> None:
    first = FIRST_PRODUCT + 800
    content = (
        products("Sušička", "Bad", first=first).replace(b"9.50\r\n", b"-1\r\n")
        + products("Mixér", first=first + 2).partition(b"\r\n")[2]
    )
    content = content.decode().encode("windows-1250")
    request = {"name": "examined.csv", "source": "e2e", "encoding": "windows-1250"}

    def kept() -> set[str]:
        return {str(path) for path in shop.stack.data_dir.rglob("*examined*")}

    answer = await shop.ingest.post(
        "/ingest/files", params={**request, "dry_run": "true"}, content=content, headers=HEADERS
    )
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["verdict"], said["rows"], said["would_load"]) == ("loaded_with_rejects", 3, 1)
    assert (await shop.get("/jobs", file_name="examined.csv"))["jobs"] == []
    assert kept() == set()
    assert await names_of(shop, first, 3) == []
    job = await end_of(shop, await send(shop, "examined.csv", content, encoding="windows-1250"))
    assert [job[side] for side in ("status", "kind", "encoding", "rows", "loaded", "rejected")] == [
        said[side] for side in ("verdict", "kind", "encoding", "rows", "would_load", "would_be_rejected")
    ]
    assert await names_of(shop, first, 3) == ["Mixér"]


async def test_what_is_said_about_a_folder_counts_for_its_files(shop: Shop) -> None:
    first = FIRST_PRODUCT + 700
    shop.drop(".defaults.json", b'{"as_of": "file_name_date", "encoding": "windows-1250"}', "dated")
    for name, day in (("Žehlička", "2024-03-02"), ("Vařič", "2024-03-01")):
        content = products(name, first=first).decode().encode("windows-1250")
        job = await shop.load(f"products-{day}.csv", content, "dated")
        assert (job["source"], job["encoding_certainty"]) == ("dated", "declared")
    assert job["superseded"] == 1
    assert await names_of(shop, first, 1) == ["Žehlička"]


async def test_what_is_said_beside_a_dropped_file_counts(shop: Shop) -> None:
    first = FIRST_PRODUCT + 500
    for name, said_at in (("Newer", "2024-03-02"), ("Older", "2024-03-01")):
        file = f"{name}-beside.csv"
        shop.drop(f"{file}.meta.json", json.dumps({"source": "acme", "as_of": said_at}).encode())
        job = await shop.load(file, products(name, first=first))
        assert job["source"] == "acme"
    assert job["superseded"] == 1
    assert await names_of(shop, first, 1) == ["Newer"]
