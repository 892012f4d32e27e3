"""A file in another encoding has its rejects in UTF-8, comes back corrected, and is read to its end as it was begun."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from psycopg import AsyncConnection
from pydantic import SecretStr, ValidationError

from etl_worker.file_loader.settings import LoaderSettings
from tillstream.apply.applied import Applied
from tillstream.contracts.messages import Message
from tillstream.csv.encoding import DECLARABLE, Encoding

from .conftest import CHUNK_ROWS, Shop
from .crashes import Crash

pytestmark = pytest.mark.integration

HEADER = "user_id,name,email,signup_date\n"
REFUSED = HEADER + "1,Zoë,no-address,2024-01-05\n"
MANY_ROWS = HEADER + "".join(f"{n},Zoë {n},u{n}@example.org,2024-01-05\n" for n in range(1, 3 * CHUNK_ROWS))


async def names(shop: Shop) -> list[str]:
    return [row["name"] for row in await shop.rows("SELECT name FROM shop.users ORDER BY user_id")]


@pytest.mark.parametrize("encoding", [Encoding.UTF_16_LE, Encoding.UTF_16_BE, Encoding.WINDOWS_1252])
async def test_rejects_of_another_encoding_come_back_corrected(shop: Shop, encoding: Encoding) -> None:
    shop.declare(Encoding.WINDOWS_1252)
    content = REFUSED.encode(encoding.value)
    first = await shop.load("users.csv", content)
    assert (first["rejected"], first["dialect"]["encoding"]) == (1, encoding)
    (kept,) = await shop.rows("SELECT payload FROM shop.quarantine")
    assert kept["payload"] == REFUSED.removeprefix(HEADER).rstrip().encode(encoding.value)
    rejects = shop.rejects(first)
    assert "Zoë,no-address" in rejects.decode("utf-8-sig")
    again = await shop.load("fixed.csv", rejects.replace(b"no-address", b"zoe@example.org"))
    assert (again["status"], again["loaded"]) == ("loaded", 1)
    assert await names(shop) == ["Zoë"]


@pytest.mark.parametrize(
    ("encoding", "declared", "setting"),
    [
        (Encoding.UTF_16_LE, None, Encoding.WINDOWS_1252),
        (Encoding.WINDOWS_1252, None, Encoding.WINDOWS_1252),
        (Encoding.WINDOWS_1252, Encoding.WINDOWS_1252, Encoding.WINDOWS_1251),
    ],
)
async def test_a_file_that_was_begun_is_read_to_its_end_as_it_was_begun(
    shop: Shop, encoding: Encoding, declared: Encoding | None, setting: Encoding
) -> None:
    ports = shop.ports()
    chunks: list[int] = []

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> Sequence[Applied]:
        chunks.append(len(messages))
        if len(chunks) == 2:
            raise Crash("second chunk")
        return await ports.apply(conn, messages)

    shop.encoding = setting
    shop.start(replace(ports, apply=apply))
    job = shop.claim("users.csv", MANY_ROWS.encode(encoding.value), encoding=declared)
    await shop.queue(job)
    with pytest.raises(Crash):
        await shop.run_all()
    await shop.crash()
    shop.declare(Encoding.WINDOWS_1251)
    await shop.run_all()
    found = await shop.job(job.job_id)
    assert (found["status"], found["loaded"]) == ("loaded", 3 * CHUNK_ROWS - 1)
    assert found["dialect"]["encoding"] == encoding
    assert await names(shop) == [f"Zoë {n}" for n in range(1, 3 * CHUNK_ROWS)]


@pytest.mark.parametrize("setting", [None, Encoding.WINDOWS_1251])
@pytest.mark.parametrize(
    ("written_in", "declared", "read_in", "certainty"),
    [
        ("windows-1252", Encoding.WINDOWS_1252, "windows-1252", "declared"),
        ("iso-8859-1", Encoding.ISO_8859_1, "iso-8859-1", "declared"),
        ("utf-8", Encoding.WINDOWS_1252, "utf-8", "whole_file"),
        ("utf-8-sig", Encoding.WINDOWS_1252, "utf-8", "byte_order_mark"),
        ("utf-16", Encoding.WINDOWS_1252, "utf-16-le", "byte_order_mark"),
        ("utf-16-be", Encoding.WINDOWS_1252, "utf-16-be", "detected"),
    ],
)
async def test_what_was_said_of_a_file_counts_before_the_setting_and_after_what_it_proves(
    shop: Shop,
    setting: Encoding | None,
    written_in: str,
    declared: Encoding,
    read_in: str,
    certainty: str,
) -> None:
    shop.declare(setting)
    content = (HEADER + "1,Zoë,zoe@example.org,2024-01-05\n").encode(written_in)
    job = await shop.load("users.csv", content, encoding=declared)
    assert (job["status"], job["declared_encoding"]) == ("loaded", declared)
    assert (job["dialect"]["encoding"], job["dialect"]["encoding_certainty"]) == (read_in, certainty)
    assert await names(shop) == ["Zoë"]


async def test_a_file_that_is_said_to_be_utf_8_is_not_read_by_the_setting(shop: Shop) -> None:
    shop.declare(Encoding.WINDOWS_1251)
    content = (HEADER + "1,Zoë,zoe@example.org,2024-01-05\n2,Ada,ada@example.org,2024-01-05\n").encode(
        "cp1252"
    )
    job = await shop.load("users.csv", content, encoding=Encoding.UTF_8)
    assert (job["status"], job["rejected"]) == ("loaded_with_rejects", 1)
    assert job["dialect"]["encoding_certainty"] == "assumed"
    assert await names(shop) == ["Ada"]


async def test_a_file_that_was_declared_wrongly_comes_again_and_is_no_duplicate(shop: Shop) -> None:
    content = (HEADER + "1,Zoë,zoe@example.org,2024-01-05\n").encode("windows-1252")
    await shop.load("users.csv", content, encoding=Encoding.WINDOWS_1251)
    assert await names(shop) == ["Zoл"]
    again = await shop.load("users.csv", content, encoding=Encoding.WINDOWS_1252)
    assert (again["status"], again["loaded"]) == ("loaded", 1)
    assert await names(shop) == ["Zoë"]
    third = await shop.load("users.csv", content, encoding=Encoding.WINDOWS_1252)
    assert (third["status"], third["duplicate_of"]) == ("duplicate", again["job_id"])


@pytest.mark.parametrize("encoding", Encoding)
def test_only_what_cannot_be_found_out_may_be_declared(encoding: Encoding) -> None:
    facts = {
        "database_url": SecretStr("host=nowhere"),
        "data_dir": "/nowhere",
        "file_encoding": encoding.value,
    }
    if encoding in DECLARABLE:
        assert LoaderSettings.model_validate(facts).file_encoding is encoding
    else:
        with pytest.raises(ValidationError, match="UTF-8 and UTF-16 are found out"):
            LoaderSettings.model_validate(facts)
