"""Any table of rows, written in any legal dialect of CSV, is the same rows again, wherever reading is taken up."""

from dataclasses import dataclass
from io import BytesIO
from operator import add

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tillstream.contracts.csv_rows import csv_columns
from tillstream.contracts.entities import Entity
from tillstream.csv.encoding import Certainty, Encoding, Found
from tillstream.csv.header import SEPARATORS, Header, read_header
from tillstream.csv.rows import Row, RowReader
from tillstream.csv.survey import Survey
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

MARKS = {Encoding.UTF_8: b"\xef\xbb\xbf", Encoding.UTF_16_LE: b"\xff\xfe", Encoding.UTF_16_BE: b"\xfe\xff"}
TRYING = ",;\t|\"\r\n '=\\."
# In UTF-16 they have the bytes of line ends, separators and quotes.
WIDE = "\u0d0a\u0a0d\u2c2c\u2222\u3b3b\u2028\U0001f389"
LINE_ENDS = ("\n", "\r\n", "\r")
UNBOUNDED = 2**31


@dataclass(frozen=True)
class Dialect:
    """One way to write a table; the rest is drawn line by line and cell by cell."""

    encoding: Encoding
    has_mark: bool
    separator: str
    blank_lines: int

    @property
    def declared(self) -> Encoding | None:
        return None if self.encoding in MARKS else self.encoding


dialects = st.builds(
    Dialect, st.sampled_from(Encoding), st.booleans(), st.sampled_from(SEPARATORS), st.integers(0, 2)
)


def texts(encoding: Encoding) -> st.SearchStrategy[str]:
    """Cells that try the reader, next to ordinary characters of the encoding."""
    if encoding in MARKS:
        others = st.sampled_from(WIDE) | st.characters(codec="utf-8", exclude_characters="\0")
    else:
        others = st.sampled_from(bytes(range(1, 256)).decode(encoding.value, "ignore"))
    return st.text(st.sampled_from(TRYING) | others, max_size=12)


def written_cell(cell: str, separator: str, *, quoted: bool) -> str:
    needs_quotes = cell.startswith('"') or not {separator, "\r", "\n"}.isdisjoint(cell)
    return '"' + cell.replace('"', '""') + '"' if quoted or needs_quotes else cell


@st.composite
def files(draw: st.DrawFn, dialect: Dialect) -> tuple[Entity, list[dict[str, str]], bytes]:
    """A kind, the rows by column, and a file of them."""
    entity = draw(st.sampled_from(Entity))
    required, optional = csv_columns(entity)
    columns = draw(st.permutations([*required, *draw(st.lists(st.sampled_from(optional), unique=True))]))
    rows = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, texts(dialect.encoding))), max_size=6))
    names = [draw(st.sampled_from([name, name.upper(), name.title()])) for name in columns]

    def line(cells: list[str]) -> str:
        written = [written_cell(cell, dialect.separator, quoted=draw(st.booleans())) for cell in cells]
        return dialect.separator.join(written)

    lines = [line(names), *(line([row[name] for name in columns]) for row in rows)]
    *ends, last_end = [draw(st.sampled_from(LINE_ENDS)) for _ in lines]
    text = "\r\n" * dialect.blank_lines + "".join(map(add, lines, [*ends, last_end]))
    if draw(st.booleans()):
        text = text[: -len(last_end)]
    mark = MARKS.get(dialect.encoding, b"") if dialect.has_mark else b""
    return entity, rows, mark + text.encode(dialect.encoding.value)


def found_in(data: bytes, dialect: Dialect, block: int) -> tuple[Survey, Found]:
    survey = Survey()
    for at in range(0, len(data), block):
        survey.take(data[at : at + block])
    survey.take(b"")
    return survey, survey.found(dialect.declared)


def by_column(header: Header, rows: list[Row]) -> list[dict[str, str]]:
    return [dict(zip(header.columns, row.cells or (), strict=True)) for row in rows]


@settings(QUICK, max_examples=150)
@given(st.data(), dialects, st.integers(4, 64), st.integers(1, 4))
def test_any_table_in_any_dialect_is_the_same_rows_again(
    data: st.DataObject, dialect: Dialect, block: int, max_rows: int
) -> None:
    entity, rows, content = data.draw(files(dialect))
    survey, found = found_in(content, dialect, block)
    # Bytes of an 8-bit encoding may happen to be UTF-8 throughout, or in part; then nobody can tell.
    assume(dialect.declared is None or content.isascii() or found.certainty is Certainty.DECLARED)
    header = read_header(BytesIO(content), found=found)
    assert (header.entity, header.separator) == (entity, dialect.separator)
    assert found.encoding == dialect.encoding or content.isascii()
    read: list[Row] = []
    place, is_last = (header.next_byte, header.next_line), False
    while not is_last:
        # Every chunk is read by a reader of its own, as after a crash.
        reader = RowReader(
            BytesIO(content), header.separator, len(header.columns), *place, encoding=header.encoding
        )
        chunk = reader.read_chunk(max_rows, UNBOUNDED)
        read += chunk.rows
        place, is_last = (chunk.next_byte, chunk.next_line), chunk.is_last
    assert by_column(header, read) == rows
    assert all(row.raw in content for row in read)
    survey.check_end(*place)
