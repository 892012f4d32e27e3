"""A corpus of files with one oddity each: every one ends with the very statement that stands beside it."""

import csv
import io
from typing import Any

import pytest

from .conftest import Shop
from .corpus import CLAIMS_BEFORE, SEEDS, Oddity
from .corpus_cells import CELLS
from .corpus_encodings import ENCODINGS
from .corpus_forms import FORMS
from .corpus_headers import HEADERS
from .corpus_whole_files import WHOLE_FILES

pytestmark = pytest.mark.integration

TEXTS = {
    "user": "SELECT name AS text FROM shop.users ORDER BY user_id",
    "product": "SELECT product_name || CASE WHEN price = 9.99 THEN '' ELSE ' ' || price END AS text FROM shop.products",
}


async def load(shop: Shop, oddity: Oddity) -> dict[str, Any]:
    """The job of the file, in a shop where nothing else was."""
    await shop.empty()
    shop.claims = 0
    shop.declare(oddity.declared)
    seeds = SEEDS if oddity.seeded else ()
    for name, content in (*seeds, *(("before.csv", each) for each in oddity.before)):
        await shop.load(name, content)
    shop.claims = CLAIMS_BEFORE
    return await shop.load(oddity.name, oddity.data)


async def found(shop: Shop, oddity: Oddity) -> dict[str, Any]:
    job = await load(shop, oddity)
    kept = await shop.rows(
        "SELECT line, reason FROM shop.quarantine WHERE job_id = %s ORDER BY line", job["job_id"]
    )
    result: dict[str, Any] = {
        "statement": {name: job[name] for name in oddity.ending.statement},
        "rejects": {row["line"]: row["reason"] for row in kept},
        "rejects file": written_rejects(shop, job),
        "lies in": [
            folder for folder in ("work", "processed", "error") if oddity.name in shop.files()[folder]
        ],
    }
    if oddity.encoding is not None:
        result["encoding"] = "{encoding} {encoding_certainty}".format(**job["dialect"])
    if oddity.texts is not None:
        result["texts"] = tuple(row["text"] for row in await shop.rows(TEXTS[job["kind"]]))
    return result


def written_rejects(shop: Shop, job: dict[str, Any]) -> dict[int, str]:
    if not job["rejected"]:
        return {}
    text = io.StringIO(shop.rejects(job).decode("utf-8-sig"), newline="")
    return {int(row["line"]): row["reason"] for row in csv.DictReader(text)}


def foretold(oddity: Oddity) -> dict[str, Any]:
    ending = oddity.ending
    result: dict[str, Any] = {
        "statement": ending.statement,
        "rejects": ending.rejects,
        "rejects file": ending.rejects,
        "lies in": ["error" if ending.error is not None else "processed"],
    }
    if oddity.encoding is not None:
        result["encoding"] = oddity.encoding
    if oddity.texts is not None:
        result["texts"] = oddity.texts
    return result


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "oddities",
    [
        pytest.param(ENCODINGS, id="encodings"),
        pytest.param(FORMS, id="forms"),
        pytest.param(HEADERS, id="headers"),
        pytest.param(CELLS, id="cells"),
        pytest.param(WHOLE_FILES, id="whole_files"),
    ],
)
async def test_every_file_ends_with_its_statement(shop: Shop, oddities: tuple[Oddity, ...]) -> None:
    wrong = []
    for oddity in oddities:
        actual, expected = await found(shop, oddity), foretold(oddity)
        wrong += [
            f"{oddity.title}: {key} is {actual[key]}, not {expected[key]}"
            for key in expected
            if actual[key] != expected[key]
        ]
    assert not wrong, "\n" + "\n".join(wrong)
