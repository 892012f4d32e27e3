"""The header decides what a file holds, in any order of its columns, and a wrong one is said in a sentence."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.csv_rows import csv_columns
from tillstream.contracts.entities import Entity
from tillstream.csv.header import REJECT_COLUMNS, SEPARATORS, Header, read_header
from tillstream.csv.rows import RowReader
from tillstream.errors import FileRefused

pytestmark = pytest.mark.unit


def header(data: bytes, name: str = "") -> Header:
    return read_header(BytesIO(data), name)


boms = st.sampled_from([b"", b"\xef\xbb\xbf"])


@given(st.data(), st.sampled_from(Entity), st.sampled_from(SEPARATORS), boms, st.slices(3))
def test_columns_in_any_order_and_case_tell_the_kind(
    data: st.DataObject, entity: Entity, separator: str, bom: bytes, optional: slice
) -> None:
    required, others = csv_columns(entity)
    known = [*required, *others[optional]]
    names = data.draw(st.permutations([data.draw(st.sampled_from([n, n.upper(), n.title()])) for n in known]))
    raw = bom + separator.join(names).encode()
    found = header(raw + b"\r\nrow\r\n")
    assert (found.entity, found.separator, found.is_rejects) == (entity, separator, False)
    assert found.columns == tuple(name.lower() for name in names)
    assert (found.next_byte, found.next_line) == (len(raw) + 2, 2)


@pytest.mark.parametrize("entity", Entity)
def test_the_columns_of_a_rejects_file_stand_before_those_of_its_kind(entity: Entity) -> None:
    names = [*REJECT_COLUMNS, *csv_columns(entity)[0]]
    found = header(",".join(names).encode())
    assert (found.entity, found.is_rejects) == (entity, True)


def test_quoted_names_are_names() -> None:
    found = header(b'"user_id";"name";"email";"signup_date"\n')
    assert (found.entity, found.separator) == (Entity.USER, ";")


def test_empty_lines_before_the_header_are_passed_over() -> None:
    data = b"\n\r\nuser_id,name,email,signup_date\n1,A,a@b.c,2024-01-01\n"
    found = header(data)
    reader = RowReader(BytesIO(data), found.separator, len(found.columns), found.next_byte, found.next_line)
    assert [(row.line, row.raw) for row in reader.read_chunk(9, 999).rows] == [(4, b"1,A,a@b.c,2024-01-01")]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty_file: the file has no header row"),
        (b"\xef\xbb\xbf\n\n", "empty_file: the file has no header row"),
        (b"\n" * 1_001 + b"user_id,name,email,signup_date\n", "empty_file: its first 1,000 lines are blank"),
        (b"user_id,\xff\n", "unreadable_header: "),
        (b'user_id,"name\n', "unreadable_header: "),
        (
            b"user_id,name,email,signup_date,Name\n",
            "duplicate_column: the header names 'name' more than once",
        ),
        (b"a,b\n", "none of the known column names; a file begins with those of users, products, orders,"),
        (
            b"line,reason,message,message_id,version,a\n",
            "unknown_header: found the columns 'line', 'reason', 'message', 'message_id', 'version', 'a', which belong to none",
        ),
        (b"user_id,name,email\n", "missing: 'signup_date'"),
        (b"user_id,name,email,signup_date,phone\n", "unknown: 'phone'"),
        (
            b"user_id,name,email,signup_date,items\n",
            "a file of users has 'user_id', 'name', 'email', 'signup_date'",
        ),
        (b"order_item_id,order_id,product_id,quantity\n", "a file of order items has"),
        (b" user_id,name,email,signup_date\n", "unknown: ' user_id'"),
        (b"line,user_id,name,email,signup_date\n", "unknown: 'line'"),
    ],
)
def test_a_header_that_does_not_fit_refuses_the_file_with_what_was_found_and_expected(
    data: bytes, sentence: str
) -> None:
    with pytest.raises(FileRefused) as refused:
        header(data)
    assert sentence in str(refused.value)


def test_the_file_name_says_which_kind_an_unknown_header_was_probably_meant_for() -> None:
    with pytest.raises(FileRefused, match="a file of products has"):
        header(b"a,b\n", "2024_products.csv")


@pytest.mark.parametrize("row", ["7,Rosa Lund,rosa@example.org,2023-01-04", "Rosa Lund,Rosa Lund,7"])
@pytest.mark.parametrize("name", ["", "users.csv"])
def test_the_cells_of_a_file_without_a_header_are_not_shown(row: str, name: str) -> None:
    with pytest.raises(FileRefused, match="none of the known column names") as refused:
        header(row.encode(), name)
    assert "osa" not in str(refused.value)
    assert "2023" not in str(refused.value)


def test_a_header_full_of_nonsense_gives_a_short_sentence() -> None:
    with pytest.raises(FileRefused) as refused:
        header(b"user_id," + ",".join(f"\x1b[31m{number}{'x' * 999}" for number in range(60)).encode())
    assert len(str(refused.value)) < 2_500
    assert "\x1b" not in str(refused.value)
    assert "41 more" in str(refused.value)
