"""A rejects file gives every refused row back, harmless to a spreadsheet and exact on its return."""

from io import BytesIO
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.messages import Refusal
from tillstream.csv.header import read_header
from tillstream.csv.rejects import (
    FirstAttempt,
    Reject,
    corrected_cells,
    first_attempt,
    neutralised,
    render,
    restored,
)
from tillstream.csv.rows import Row, RowReader

pytestmark = pytest.mark.unit

COLUMNS = ("user_id", "name", "email", "signup_date")
MESSAGE_ID = UUID("0190f7a8-7a5c-7cc3-98e4-3f1f2f1c6a11")
VERSION = bytes(range(40))
UNBOUNDED = 2**31

texts = st.text(
    st.one_of(
        st.sampled_from("=+-@'\t\r\n\uff1d,;\"0"), st.characters(codec="utf-8", exclude_characters="\0\ufffd")
    ),
    max_size=8,
)


def reject(raw: bytes, line: int = 2, message: str = "name must not be empty.") -> Reject:
    return Reject(line, "invalid_text", message, MESSAGE_ID, VERSION, raw)


def written(*raws: bytes, separator: str = ",", columns: tuple[str, ...] = COLUMNS) -> bytes:
    return b"".join(render(columns, separator, [reject(raw) for raw in raws]))


def dropped_back(data: bytes) -> list[tuple[dict[str, str], Row]]:
    """Rows as the loader sees them, with their cells by name where they have any."""
    header = read_header(BytesIO(data))
    assert header.is_rejects
    reader = RowReader(
        BytesIO(data), header.separator, len(header.columns), header.next_byte, header.next_line
    )
    rows = reader.read_chunk(UNBOUNDED, UNBOUNDED).rows
    return [(dict(zip(header.columns, row.cells or (), strict=False)), row) for row in rows]


def quoted(cells: list[str]) -> bytes:
    return b",".join(b'"' + cell.replace('"', '""').encode() + b'"' for cell in cells)


@given(texts)
def test_taking_the_apostrophe_off_gives_the_very_cell_back(cell: str) -> None:
    assert restored(neutralised(cell)) == cell


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n1", "\uff1d1", "'=1", "''@x"])
def test_what_a_spreadsheet_would_run_begins_with_an_apostrophe(cell: str) -> None:
    assert neutralised(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "1", "O'Hara", "'quoted'", "a=b", "'"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert neutralised(cell) == cell


@given(st.lists(st.lists(texts, min_size=4, max_size=4), min_size=1, max_size=5))
def test_refused_rows_come_back_with_their_cells_and_their_identity(table: list[list[str]]) -> None:
    found = dropped_back(written(*(quoted(cells) for cells in table)))
    assert [list(corrected_cells(cells).values()) for cells, _ in found] == table
    assert {first_attempt(cells) for cells, _ in found} == {FirstAttempt(MESSAGE_ID, VERSION)}


@given(st.lists(st.lists(texts, min_size=4, max_size=4), min_size=1, max_size=3))
def test_rows_that_are_refused_again_make_the_same_file_again(table: list[list[str]]) -> None:
    first = written(*(quoted(cells) for cells in table))
    header = read_header(BytesIO(first))
    again = [reject(row.raw) for _, row in dropped_back(first)]
    assert b"".join(render(header.columns, header.separator, again)) == first


def test_the_file_opens_in_a_spreadsheet_and_says_why() -> None:
    assert written(b"7;=cmd;a@b.c;2024-01-01", separator=";").decode() == (
        "\ufeffline,reason,message,message_id,version,user_id,name,email,signup_date\r\n"
        f"2,invalid_text,name must not be empty.,{MESSAGE_ID},v{VERSION.hex()},7,'=cmd,a@b.c,2024-01-01\r\n"
    )


@pytest.mark.parametrize(
    "raw", [b"1,A", b"1,A,a@b.c,2024-01-01,5", b'1,"A,a@b.c,2024-01-01', b'1,"A"x,a@b.c,2024-01-01']
)
def test_a_row_without_the_right_number_of_cells_does_not_pass_when_dropped_back_as_it_is(raw: bytes) -> None:
    ((_, row),) = dropped_back(written(raw))
    assert row.refusal is not None


@pytest.mark.parametrize("raw", [b"1,Caf\xe9,a@b.c,2024-01-01", b"1,A\0B,a@b.c,2024-01-01"])
def test_a_row_with_an_unreadable_byte_does_not_pass_when_dropped_back_as_it_is(raw: bytes) -> None:
    ((cells, _),) = dropped_back(written(raw))
    refused = first_attempt(cells)
    assert isinstance(refused, Refusal)
    assert refused.field == "name"


@pytest.mark.parametrize(
    ("column", "cell"),
    [("message_id", "7"), ("message_id", ""), ("version", "v00"), ("version", "x"), ("version", "")],
)
def test_a_row_whose_identity_was_damaged_is_refused(column: str, cell: str) -> None:
    ((cells, _),) = dropped_back(written(b"1,A,a@b.c,2024-01-01"))
    refused = first_attempt({**cells, column: cell})
    assert isinstance(refused, Refusal)
    assert refused.field == column
