"""The doctor says of a file what the contracts say of its rows, in memory that does not grow with it."""

import tracemalloc
from datetime import UTC, datetime
from io import BytesIO, RawIOBase
from typing import BinaryIO, cast, override
from zoneinfo import ZoneInfo

import pytest

from tillstream.csv import doctor, records
from tillstream.csv.diagnosis import note, verdict
from tillstream.csv.doctor import RejectedRow, Report, Terms, examine
from tillstream.csv.encoding import Certainty, Encoding

pytestmark = pytest.mark.unit

TERMS = Terms(datetime(2026, 3, 1, 12, tzinfo=UTC), ZoneInfo("UTC"))
HEAD = b"user_id,name,email,signup_date\n"
SMALL_BLOCK_BYTES = 65_536
BAD = b"2,Bob,bob,2024-01-06\n"


def row(number: int) -> bytes:
    return b"%d,Ann,ann%d@example.org,2024-01-05\n" % (number, number)


def report(data: bytes, name: str = "users.csv", terms: Terms = TERMS) -> Report:
    return examine(BytesIO(data), name, terms)


def test_a_good_file_would_load_whole() -> None:
    found = report(HEAD + row(1) + row(2))
    assert (found.rows, found.accepted, found.rejected, found.error) == (2, 2, 0, None)
    assert (found.lines, found.bytes) == (3, len(HEAD + row(1) + row(2)))
    assert found.would_load_whole


def test_all_rejects_are_counted_and_the_first_ones_shown() -> None:
    found = report(
        HEAD + row(1) + BAD * 3, terms=Terms(TERMS.accepted_at, TERMS.shop_timezone, max_rejects=2)
    )
    assert (found.rows, found.accepted, dict(found.reasons)) == (4, 1, {"invalid_email": 3})
    assert [each.line for each in found.rejects] == [3, 4]
    assert not found.would_load_whole


def test_a_key_that_comes_again_is_found_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHUNK_ROWS", 2)
    found = report(HEAD + b"".join(map(row, range(1, 6))) + row(1))
    assert found.rejects == [
        RejectedRow(7, "duplicate_key", "The same key stood in an earlier row of this file.")
    ]
    assert found.knows_all_keys


def test_that_not_all_keys_are_remembered_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHUNK_ROWS", 2)
    monkeypatch.setattr(doctor, "MAX_KEYS", 3)
    found = report(HEAD + b"".join(map(row, range(1, 6))) + row(1) + row(5))
    assert [each.line for each in found.rejects] == [7]
    assert not found.knows_all_keys


@pytest.mark.parametrize("asked", range(6))
def test_when_time_is_up_the_report_says_what_was_found_by_then(
    monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    monkeypatch.setattr(doctor, "CHUNK_ROWS", 2)
    calls = iter(range(9))
    data = HEAD + b"".join(map(row, range(1, 6))) + BAD
    terms = Terms(TERMS.accepted_at, TERMS.shop_timezone, is_time_up=lambda: next(calls) >= asked)
    found = report(data, terms=terms)
    # Twice while the file is read through, then after each chunk but the last one, which is empty. Some rows are looked at always.
    assert (found.rows, found.rejected, found.is_complete) == [
        *[(2, 0, False)] * 3,
        (4, 0, False),
        (6, 1, False),
        (6, 1, True),
    ][asked]
    assert (found.header is not None, found.bytes) == (True, len(data))
    assert data[: found.examined_bytes].count(b"\n") == 1 + found.rows
    assert verdict(found) == ("unknown" if asked < 5 else "loaded_with_rejects")
    is_told = note(found) is not None and f"only the first {found.rows} rows" in str(note(found))
    assert is_told == (asked < 5)


def test_a_file_that_takes_long_to_read_through_is_left_at_half_time_for_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "BLOCK_BYTES", SMALL_BLOCK_BYTES)
    data = HEAD + b"".join(map(row, range(1, 4_001))) + BAD
    assert len(data) > 2 * SMALL_BLOCK_BYTES
    found = report(data, terms=Terms(TERMS.accepted_at, TERMS.shop_timezone, is_half_up=lambda: True))
    assert (found.bytes, found.rows, found.rejected) == (SMALL_BLOCK_BYTES, 4_001, 1)
    assert found.header is not None
    assert found.header.certainty is Certainty.ASSUMED
    assert (verdict(found), found.error) == ("unknown", None)


def test_a_refused_file_has_its_sentence_and_a_text_would_be_archived() -> None:
    refused = report(b"a,b\n")
    assert refused.header is None
    assert refused.error is not None
    assert refused.error.startswith("unknown_header: ")
    archived = report(b"a,b\n", "a.txt")
    assert (archived.header, archived.error, archived.lines) == (None, None, 1)
    assert not archived.would_load_whole


def test_an_encoding_may_be_declared() -> None:
    data = HEAD + b"1,Zo\xeb,zoe@example.org,2024-01-05\n"
    assert report(data).rejected == 1
    declared = report(data, terms=Terms(TERMS.accepted_at, TERMS.shop_timezone, Encoding.WINDOWS_1252))
    assert declared.would_load_whole
    assert declared.header is not None
    assert (declared.header.encoding, declared.header.certainty) == (
        Encoding.WINDOWS_1252,
        Certainty.DECLARED,
    )


class Endless(RawIOBase):
    """A file of events, made while it is read."""

    def __init__(self, rows: int) -> None:
        self._head = b"user_id,event_type,event_timestamp\n"
        self._row = b"1,page_view,2024-02-01T10:00:00Z\n"
        self._size = len(self._head) + rows * len(self._row)
        self._at = 0

    @override
    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = offset
        return offset

    @override
    def read(self, size: int = -1, /) -> bytes:
        if self._at < len(self._head):
            made = self._head[self._at :]
        else:
            skip = (self._at - len(self._head)) % len(self._row)
            made = (self._row * (size // len(self._row) + 2))[skip:]
        made = made[: min(size, self._size - self._at)]
        self._at += len(made)
        return made


def peak_bytes(rows: int) -> int:
    tracemalloc.start()
    try:
        found = examine(cast("BinaryIO", Endless(rows)), "events.csv", TERMS)
        assert (found.rows, found.rejected, found.lines) == (rows, 0, rows + 1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "BLOCK_BYTES", SMALL_BLOCK_BYTES)
    monkeypatch.setattr(records, "READ_BYTES", SMALL_BLOCK_BYTES)
    peak_bytes(1)  # what is made once
    assert peak_bytes(20_000) < 1.2 * peak_bytes(5_000)
