"""What a file is in, how surely, and how many lines it has, however its bytes come in."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.csv.encoding import Certainty, Encoding, Found, look_at_opening
from tillstream.csv.survey import Survey
from tillstream.errors import FileRefused

pytestmark = pytest.mark.unit

LATIN = Encoding.ISO_8859_1


def surveyed(data: bytes, block: int = 4) -> Survey:
    survey = Survey()
    for at in range(0, len(data), block):
        survey.take(data[at : at + block])
    survey.take(b"")
    return survey


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


pieces = st.lists(
    st.sampled_from(
        [b"a", b"\n", b"\r", b"\r\n", b"\xc3", b"\xa9", b"\xc3\xa9", b"\xf0\x9f\x8e\x89", b"\xff", b"name"]
    ),
    max_size=20,
).map(b"".join)


@given(pieces, st.integers(4, 9))
def test_utf_8_is_what_decodes_and_only_what_nothing_says_otherwise_of_may_be_declared(
    data: bytes, block: int
) -> None:
    data = b"name" + data
    found = surveyed(data, block).found(LATIN)
    has_longer = not data.decode(errors="ignore").isascii()
    if is_utf8(data):
        assert found == Found(Encoding.UTF_8, Certainty.WHOLE_FILE)
    elif has_longer:
        assert found == Found(Encoding.UTF_8, Certainty.ASSUMED)
    else:
        assert found == Found(LATIN, Certainty.DECLARED)


@given(pieces, st.integers(4, 9))
def test_lines_are_counted_as_an_editor_does(data: bytes, block: int) -> None:
    text = data.decode(errors="replace")
    wanted = len(text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")) if text else 0
    assert surveyed(data, block).lines == wanted
    wide = b"\xff\xfe" + text.encode("utf-16-le")
    assert surveyed(wide, block).lines == wanted


@pytest.mark.parametrize("data", [b"\xff\xfe\0\0a\0\0\0", b"\0\0\xfe\xff\0\0\0a", b"\xff\xfea\0b"])
def test_what_cannot_be_read_is_said_when_it_is_asked_for(data: bytes) -> None:
    survey = surveyed(data)
    with pytest.raises(FileRefused):
        survey.found(LATIN)


def test_the_opening_alone_promises_no_more_than_it_shows() -> None:
    assert look_at_opening(BytesIO(b"name\xff")) == Found(Encoding.UTF_8, Certainty.ASSUMED)


@pytest.mark.parametrize(("next_byte", "next_line"), [(7, 3), (8, 2), (8, 4)])
def test_records_that_do_not_add_up_to_the_file_fail_it(next_byte: int, next_line: int) -> None:
    survey = surveyed(b"one\ntwo\n")
    survey.check_end(8, 3)
    with pytest.raises(
        FileRefused,
        match=r"does_not_add_up: its records end at byte . after . lines; the file has 8 bytes and 2 lines",
    ):
        survey.check_end(next_byte, next_line)
