"""Records are cut out of bytes exactly, and from any of them on the reader can go on."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.csv import records
from tillstream.csv.records import MAX_LINE_BYTES, MAX_RECORD_BYTES, Fault, Record, RecordSplitter
from tillstream.errors import FileRefused

pytestmark = pytest.mark.unit

LINE_ENDS = ("\n", "\r\n", "\r")


def split(data: bytes, separator: str = ",", start: int = 0, line: int = 1) -> list[Record]:
    splitter = RecordSplitter(BytesIO(data), separator, start, line)
    return list(iter(splitter.next_record, None))


def places(data: bytes, separator: str = ",") -> list[tuple[int, int]]:
    """(next_byte, next_line) before each record and at the end."""
    splitter = RecordSplitter(BytesIO(data), separator, 0, 1)
    found = [(0, 1)]
    while splitter.next_record() is not None:
        found.append((splitter.next_byte, splitter.next_line))
    return found


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_every_kind_of_line_end_ends_a_record(line_end: str) -> None:
    data = line_end.join(("a,b", "c,d", "e,f")).encode()
    assert [(each.line, each.raw) for each in split(data)] == [(1, b"a,b"), (2, b"c,d"), (3, b"e,f")]


def test_an_end_of_line_at_the_end_of_the_file_makes_no_empty_record() -> None:
    assert [each.raw for each in split(b"a\r\nb\r\n")] == [b"a", b"b"]


def test_an_empty_file_has_no_record() -> None:
    assert split(b"") == []


def test_quoted_line_ends_belong_to_the_record_and_count_as_lines() -> None:
    found = split(b'1,"two\nlines\r\nand\rmore"\n2,x\n')
    assert [(each.line, each.raw) for each in found] == [(1, b'1,"two\nlines\r\nand\rmore"'), (5, b"2,x")]


def test_doubled_quotes_do_not_end_a_cell() -> None:
    assert [each.raw for each in split(b'"a""b\n""c",d\ne\n')] == [b'"a""b\n""c",d', b"e"]


def test_a_quote_inside_a_plain_cell_stands_for_itself() -> None:
    assert split(b'5" disk,b\n2,c\n') == [Record(1, b'5" disk,b'), Record(2, b"2,c")]


@pytest.mark.parametrize("spoilt", [b'1,"open', b'1,"closed"x,y', b'"'])
def test_broken_quotes_spoil_one_line_only(spoilt: bytes) -> None:
    found = split(b"0,a\n" + spoilt + b'\n2,b\n3,"c"\n')
    assert found == [
        Record(1, b"0,a"),
        Record(2, spoilt, Fault.BROKEN_QUOTES),
        Record(3, b"2,b"),
        Record(4, b'3,"c"'),
    ]


def test_quotes_that_close_too_late_count_as_not_closed() -> None:
    lines = b"x\n" * MAX_RECORD_BYTES
    found = split(b'1,"' + lines + b'"\n')
    assert found[0] == Record(1, b'1,"x', Fault.BROKEN_QUOTES)
    assert found[1] == Record(2, b"x")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r", b""])
@pytest.mark.parametrize("surplus", [0, 1, 2, 3])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_record_may_have_its_greatest_length_and_no_byte_more(
    line_end: bytes, surplus: int, *, quoted: bool
) -> None:
    length = MAX_RECORD_BYTES + surplus
    body = b'"' + b"x" * (length - 2) + b'"' if quoted else b"x" * length
    found = split(b"a\n" + body + line_end + (b"b" if line_end else b""))
    fault = Fault.TOO_LONG if surplus else None
    rest = [Record(3, b"b")] if line_end else []
    assert found == [Record(1, b"a"), Record(2, body[:MAX_RECORD_BYTES], fault), *rest]


def test_a_line_without_end_is_no_text() -> None:
    splitter = RecordSplitter(BytesIO(b"x" * (MAX_LINE_BYTES + 3 * records.READ_BYTES)), ",", 0, 1)
    with pytest.raises(FileRefused, match="line 1 has no end"):
        splitter.next_record()


def test_a_long_line_within_the_bound_is_passed_over() -> None:
    data = b"x" * (3 * records.READ_BYTES + 1) + b"\r\nb\n"
    assert [(each.line, each.raw[:3], each.fault) for each in split(data)] == [
        (1, b"xxx", Fault.TOO_LONG),
        (2, b"b", None),
    ]


@given(
    st.lists(
        st.sampled_from([b"a", b'"', b",", b"\n", b"\r", b"\r\n", b"\xff", b"\0", b'""', b"bc"]), max_size=40
    )
)
def test_reading_can_be_resumed_at_every_record_of_anything(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    whole = split(data)
    for number, (next_byte, next_line) in enumerate(places(data)):
        assert split(data, start=next_byte, line=next_line) == whole[number:]


@given(st.lists(st.sampled_from([b"a", b'"', b",", b"\n", b"\r", b"\r\n", b"\xff", b'""']), max_size=40))
def test_no_byte_of_anything_is_lost_and_lines_are_counted_as_an_editor_does(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    found = places(data)
    assert found[-1][0] == len(data)
    for next_byte, next_line in found[:-1]:
        before = data[:next_byte]
        assert next_line == 1 + before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")


@given(
    st.lists(st.sampled_from([b"a,b\n", b'"x\ny",z\r\n', b'"open,\n', b"\r", b"q\n"]), max_size=12),
    st.integers(1, 7),
)
def test_records_do_not_depend_on_how_the_bytes_are_read(pieces: list[bytes], step: int) -> None:
    class Dribble(BytesIO):
        def read(self, size: int | None = None, /) -> bytes:
            return super().read(min(step, size or step))

    data = b"".join(pieces)
    splitter = RecordSplitter(Dribble(data), ",", 0, 1)
    assert list(iter(splitter.next_record, None)) == split(data)
