"""Whatever is written as CSV comes back as it was; what is no CSV is refused row by row."""

import csv
from io import BytesIO, StringIO
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.messages import Refusal
from tillstream.contracts.reasons import Reason
from tillstream.csv.records import MAX_RECORD_BYTES
from tillstream.csv.rows import Chunk, Row, RowReader

pytestmark = pytest.mark.unit

UNBOUNDED = 2**31
WIDTH = 3

# Strings that try the reader: separators, quotes and line ends of every kind, next to ordinary characters.
cell_texts = st.text(
    st.one_of(
        st.sampled_from(",;\t|\"\r\n '=é\u2028"), st.characters(codec="utf-8", exclude_characters="\0")
    ),
    max_size=12,
)
tables = st.lists(st.lists(cell_texts, min_size=WIDTH, max_size=WIDTH), max_size=8)
separators = st.sampled_from(",;\t|")
line_ends = st.sampled_from(["\n", "\r\n", "\r"])
quotings: st.SearchStrategy[Literal[0, 1]] = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])


def written(table: list[list[str]], separator: str, line_end: str, quoting: Literal[0, 1]) -> bytes:
    return "".join(_line(cells, separator, quoting) + line_end for cells in table).encode()


def _line(cells: list[str], separator: str, quoting: Literal[0, 1]) -> str:
    # Before Python 3.13 the writer quotes only those line ends that its own terminator has; this one has both.
    out = StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\r\n", quoting=quoting).writerow(cells)
    return out.getvalue().removesuffix("\r\n")


def read(data: bytes, separator: str = ",", width: int = WIDTH, start: int = 0, line: int = 1) -> list[Row]:
    reader = RowReader(BytesIO(data), separator, width, start, line)
    return list(reader.read_chunk(UNBOUNDED, UNBOUNDED).rows)


def chunks(data: bytes, max_rows: int, max_bytes: int) -> list[Chunk]:
    """Every chunk is read by a reader of its own, as after a crash."""
    found = [Chunk((), 0, 1, is_last=False)]
    while not found[-1].is_last:
        reader = RowReader(BytesIO(data), ",", WIDTH, found[-1].next_byte, found[-1].next_line)
        found.append(reader.read_chunk(max_rows, max_bytes))
    return found[1:]


@given(tables, separators, line_ends, quotings)
def test_rows_written_in_any_dialect_come_back_as_they_were(
    table: list[list[str]], separator: str, line_end: str, quoting: Literal[0, 1]
) -> None:
    rows = read(written(table, separator, line_end, quoting), separator)
    assert [row.cells for row in rows] == table


@given(tables, line_ends, st.integers(1, 4), st.integers(1, 60))
def test_chunks_resumed_by_new_readers_add_up_to_the_file(
    table: list[list[str]], line_end: str, max_rows: int, max_bytes: int
) -> None:
    data = written(table, ",", line_end, csv.QUOTE_MINIMAL)
    found = chunks(data, max_rows, max_bytes)
    assert [row for chunk in found for row in chunk.rows] == read(data)
    assert found[-1].next_byte == len(data)
    assert all(len(chunk.rows) <= max_rows for chunk in found)


def test_a_chunk_ends_once_its_bytes_are_read() -> None:
    found = chunks(b"aa,b,c\n" * 10, UNBOUNDED, 20)
    assert [len(chunk.rows) for chunk in found] == [3, 3, 3, 1]


def test_empty_lines_are_no_rows_but_count_as_lines() -> None:
    assert [(row.line, row.cells) for row in read(b"1,2,3\n\n\r\n4,5,6\n")] == [
        (1, ["1", "2", "3"]),
        (4, ["4", "5", "6"]),
    ]


@pytest.mark.parametrize(
    ("raw", "reason", "word"),
    [
        (b"1,2", Reason.RAGGED_ROW, "2 cells"),
        (b"1,2,3,4", Reason.RAGGED_ROW, "4 cells"),
        (b'1,"2,3', Reason.RAGGED_ROW, "quoted"),
        (b'1,"2"x,3', Reason.RAGGED_ROW, "quoted"),
        (b"1,\x00,3", Reason.INVALID_TEXT, "U+0000"),
        (b"1,caf\xe9,3", Reason.INVALID_TEXT, "0xe9"),
        (b"1,\xed\xa0\x80,3", Reason.INVALID_TEXT, "UTF-8"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_its_line_and_bytes(
    raw: bytes, reason: Reason, word: str
) -> None:
    before, broken, after = read(b"a,b,c\n" + raw + b"\nd,e,f\n")
    assert (before.cells, after.cells) == (["a", "b", "c"], ["d", "e", "f"])
    assert (broken.line, broken.raw, broken.cells) == (2, raw, None)
    assert isinstance(broken.refusal, Refusal)
    assert broken.refusal.reason == reason
    assert word in broken.refusal.message


def test_a_row_that_is_too_long_is_refused_with_its_beginning() -> None:
    row, after = read(b"x" * (MAX_RECORD_BYTES + 1) + b"\n1,2,3\n")
    assert row.refusal is not None
    assert row.refusal.reason == Reason.RECORD_TOO_LARGE
    assert row.raw == b"x" * MAX_RECORD_BYTES
    assert after.line == 2


def test_one_cell_may_fill_a_whole_record() -> None:
    (row,) = read(b'"' + b"x" * (MAX_RECORD_BYTES - 4) + b'",', width=2)
    assert row.cells == ["x" * (MAX_RECORD_BYTES - 4), ""]


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([b'"', b'""', b",", b"\n", b"\r\n", b"a", b" "]), max_size=40).map(b"".join),
    )
)
def test_any_bytes_at_all_are_rows_or_refusals(data: bytes) -> None:
    for row in read(data):
        assert (row.cells is None) != (row.refusal is None)
        assert row.cells is None or len(row.cells) == WIDTH
