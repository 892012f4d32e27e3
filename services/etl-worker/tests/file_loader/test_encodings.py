"""A file in another encoding has its rejects in UTF-8, comes back corrected, and is read to its end as it was begun."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from psycopg import AsyncConnection
from pydantic import SecretStr, ValidationError

from etl_worker.file_loader.settings import LoaderSettings
from tillstream.apply.engine import Applied
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


@pytest.mark.parametrize("encoding", [Encoding.UTF_16_LE, Encoding.WINDOWS_1252])
async def test_a_file_that_was_begun_is_read_to_its_end_as_it_was_begun(
    shop: Shop, encoding: Encoding
) -> None:
    ports = shop.ports()
    chunks: list[int] = []

    async def apply(conn: AsyncConnection, messages: Sequence[Message]) -> list[Applied]:
        chunks.append(len(messages))
        if len(chunks) == 2:
            raise Crash("second chunk")
        return await ports.apply(conn, messages)

    shop.encoding = Encoding.WINDOWS_1252
    shop.start(replace(ports, apply=apply))
    job = shop.claim("users.csv", MANY_ROWS.encode(encoding.value))
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
