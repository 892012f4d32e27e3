"""The scanner for quotes finds what one pattern over the whole record finds, and takes no longer for many broken lines."""

import re
import time
from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tillstream.csv import records
from tillstream.csv.quotes import QuoteScanner
from tillstream.csv.records import MAX_RECORD_BYTES, Fault, RecordSplitter

_CELL = rb'(?:"(?:[^"]++|"")*+"|[^"\r\n,][^\r\n,]*+)?+'
_RECORD = rb"(" + _CELL + rb"(?:," + _CELL + rb")*+)"
INNER = re.compile(_RECORD + rb"(?:\r\n?|\n)")
LAST = re.compile(_RECORD + rb"(?:\r\n?|\n|\Z)")
pytestmark = pytest.mark.unit

# Every line opens a quote, however it is read: in quotes or not.
OPENING = b'a",b,"c\n'


@given(
    st.lists(st.sampled_from([b'"', b'""', b",", b"\n", b"\r", b"a", OPENING, b'"a",']), max_size=60).map(
        b"".join
    ),
    st.integers(1, 90),
)
@example(OPENING * 4, 12)
@example(OPENING * 4 + b'"b",', 90)
@example(b'","\n' * 8, 7)
@settings(max_examples=500)
def test_a_scanner_that_remembers_finds_what_the_pattern_finds(data: bytes, window: int) -> None:
    scanner = QuoteScanner(",")
    at = 0
    while at < len(data):
        limit = min(at + window, len(data))
        is_rest = limit == len(data)
        found = (LAST if is_rest else INNER).match(data, at, limit)
        end = scanner.record_end(data, at, limit, is_rest=is_rest)
        assert end == (None if found is None else found.end(1))
        at = min(
            (place for place in (data.find(mark, at) + 1 for mark in (b"\r", b"\n")) if place),
            default=len(data),
        )
        if end is not None and end >= at:
            at = end + 1


def test_quotes_that_are_opened_on_every_line_take_no_time_of_a_whole_record_each() -> None:
    data = OPENING * (4 * MAX_RECORD_BYTES // len(OPENING))
    splitter = RecordSplitter(BytesIO(data), ",", 0, 1)
    faults, began = 0, time.process_time()
    while (record := splitter.next_record()) is not None:
        faults += record.fault is Fault.BROKEN_QUOTES
    assert faults == len(data) // len(OPENING)
    assert time.process_time() - began < 10  # a look at a whole record for each line takes a minute


def test_what_was_learnt_in_one_buffer_is_not_believed_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "READ_BYTES", 70_000)
    good = b'"x\ny",b,"c"\n'
    broken, whole = 9_000, 20_000
    splitter = RecordSplitter(BytesIO(OPENING * broken + good * whole), ",", 0, 1)
    found = list(iter(splitter.next_record, None))
    assert [each.fault for each in found] == [Fault.BROKEN_QUOTES] * broken + [None] * whole
    assert {each.raw for each in found[broken:]} == {good[:-1]}
