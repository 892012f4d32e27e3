"""The doctor says of every file of the corpus what the loader does with it, but for what only the tables can tell."""

from collections import Counter
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest

from tillstream.csv.doctor import Terms, examine

from .corpus import CLAIMED_AT, Oddity
from .corpus_cells import CELLS
from .corpus_encodings import ENCODINGS
from .corpus_forms import FORMS
from .corpus_headers import HEADERS
from .corpus_whole_files import WHOLE_FILES

pytestmark = pytest.mark.unit

CORPUS = (*ENCODINGS, *FORMS, *HEADERS, *CELLS, *WHOLE_FILES)
LEAST_FILES = 120
# What only the tables can tell of a row.
FROM_THE_TABLES = {"duplicate_email", "id_conflict"}
MANY = 10_000
# A file that fails later than at its header has one.
NO_HEADER = (
    "archive_refused",
    "empty_file",
    "unknown_header",
    "duplicate_column",
    "unreadable_header",
    "unreadable_encoding",
    "cut_off",
)


def test_the_corpus_is_large_and_every_file_has_a_title_of_its_own() -> None:
    assert len(CORPUS) >= LEAST_FILES
    assert [title for title, times in Counter(each.title for each in CORPUS).items() if times > 1] == []


@pytest.mark.parametrize("oddity", CORPUS, ids=lambda oddity: oddity.title.replace(" ", "_"))
def test_the_doctor_is_of_the_loaders_opinion(oddity: Oddity) -> None:
    """A file that comes without its parents, or after others, is the same file to it."""
    terms = Terms(CLAIMED_AT, ZoneInfo("UTC"), oddity.declared, max_rejects=MANY)
    report = examine(BytesIO(oddity.data), oddity.name, terms)
    refused = {line: why for line, why in oddity.ending.rejects.items() if why not in FROM_THE_TABLES}
    assert (report.error, report.header is None) == (oddity.ending.error, has_no_header(oddity))
    assert report.rows == (0 if oddity.ending.is_archived else oddity.ending.statement["rows"])
    if not (report.header is not None and report.header.is_rejects):
        assert {each.line: each.reason for each in report.rejects} == refused
    if oddity.encoding is not None:
        assert report.header is not None
        assert f"{report.header.encoding} {report.header.certainty}" == oddity.encoding


def has_no_header(oddity: Oddity) -> bool:
    return oddity.ending.is_archived or (oddity.ending.error or "").startswith(NO_HEADER)
