"""Rows that are found many at a time are the rows that are found one by one."""

import re
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tillstream.csv.encoding import Encoding
from tillstream.csv.plain_lines import FIRST_REST, MOST_LINES, PlainCells, PlainLines, record_of
from tillstream.csv.records import MAX_RECORD_BYTES, RecordSplitter
from tillstream.csv.rows import LONG_WAY_ROWS, Row, RowReader
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

PLAIN = re.compile(r"([0-9]+),([0-9]+)\r?")
PIECES = st.sampled_from(
    ["1,2", "34,5", "1,x", "1", "1,2,3", "", '"1",2', '"1\n2",3', '1,"2', "é,1", "\0,1", "1,2\r3,4", "x" * 9]
)
LINE_ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])


def rows_of(data: bytes, plain: re.Pattern[str] | None, max_rows: int, max_bytes: int) -> list[Row]:
    """All rows in the order of the file, taken up anew after every chunk."""
    found: list[Row] = []
    at, line, is_last = 0, 1, False
    while not is_last:
        reader = RowReader(BytesIO(data), ",", 2, at, line, plain=plain)
        chunk = reader.read_chunk(max_rows, max_bytes)
        again = [
            reader.row(record_of(number, text))
            for number, text in zip(chunk.plain.lines, chunk.plain.texts, strict=True)
        ]
        assert [list(row.cells or ()) for row in again] == [list(cells) for cells in chunk.plain.cells]
        assert len(chunk) <= max_rows
        found += sorted([*chunk.rows, *again], key=lambda row: row.line)
        at, line, is_last = chunk.next_byte, chunk.next_line, chunk.is_last
    assert at == len(data)
    return found


@settings(QUICK, max_examples=300)
@given(
    lines=st.lists(st.tuples(PIECES, LINE_ENDS), max_size=40),
    max_rows=st.integers(1, 50),
    max_bytes=st.integers(1, 500),
)
def test_both_ways_find_the_same_rows(lines: list[tuple[str, str]], max_rows: int, max_bytes: int) -> None:
    data = "".join(text + end for text, end in lines).encode()
    assert rows_of(data, PLAIN, max_rows, max_bytes) == rows_of(data, None, max_rows, max_bytes)


def test_ordinary_lines_are_taken_at_once() -> None:
    data = b"1,2\n" * 100 + b"x,2\n" + b"3,4\r\n" * 100 + b"5,6"
    chunk = RowReader(BytesIO(data), ",", 2, 0, 1, plain=PLAIN).read_chunk(1_000, 2 * len(data))
    assert (len(chunk.plain), [row.line for row in chunk.rows]) == (200, [101, 202])
    assert (chunk.next_byte, chunk.next_line, chunk.is_last) == (len(data), 203, True)


def test_a_chunk_takes_no_more_rows_of_the_long_way_than_it_may() -> None:
    data = b"x,2\n" * (LONG_WAY_ROWS + 2_000)
    chunk = RowReader(BytesIO(data), ",", 2, 0, 1, plain=PLAIN).read_chunk(50_000, len(data))
    assert (len(chunk.rows), chunk.next_line) == (LONG_WAY_ROWS, LONG_WAY_ROWS + 1)
    assert not chunk.is_last


def test_plain_rows_between_those_of_the_long_way_count_apart() -> None:
    data = b"x,2\n1,2\n" * (LONG_WAY_ROWS + 1_000)
    chunk = RowReader(BytesIO(data), ",", 2, 0, 1, plain=PLAIN).read_chunk(50_000, len(data))
    assert (len(chunk.rows), len(chunk.plain)) == (LONG_WAY_ROWS, LONG_WAY_ROWS)


def test_quotes_on_every_line_are_not_looked_at_again_and_again() -> None:
    data = b'"1","2"\n' * MOST_LINES
    records, lines, looks = RecordSplitter(BytesIO(data), ",", 0, 1), PlainLines(PLAIN), 0
    for _ in range(MOST_LINES):
        before = records.next_byte
        rest = lines._rest
        looks += rest == 0
        assert lines.take(records, MOST_LINES, MOST_LINES, PlainCells()) is None
        assert records.next_byte == before
        assert records.next_record() is not None
    assert looks < MOST_LINES // FIRST_REST


@pytest.mark.parametrize("data", [b"1,2\n" + b"1" * (MAX_RECORD_BYTES + 1) + b",2\n3,4\n", b"1,2\n" * 3])
def test_a_line_that_is_too_long_is_no_plain_one(data: bytes) -> None:
    assert rows_of(data, PLAIN, 10, len(data)) == rows_of(data, None, 10, len(data))


def test_wide_characters_are_never_looked_at_as_bytes() -> None:
    data = "1,2\n3,4\n".encode("utf-16-le")
    chunk = RowReader(BytesIO(data), ",", 2, 0, 1, Encoding.UTF_16_LE, PLAIN).read_chunk(10, len(data))
    assert (len(chunk.rows), len(chunk.plain)) == (2, 0)
