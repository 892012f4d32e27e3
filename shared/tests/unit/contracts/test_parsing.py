"""JSON is read without loss and with one answer for what is not JSON."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tillstream.contracts.parsing import NumberLexeme, dump_json, nested_deeper_than, parse_json
from tillstream.errors import MalformedJson
from tillstream.testing.strategies import QUICK, json_values

pytestmark = pytest.mark.unit


def by_the_standard_library(data: bytes) -> Any:
    return json.loads(data.decode(), parse_float=NumberLexeme)


@QUICK
@given(value=json_values())
@example("\ud800")
@example({"\udfff": [10**400, -0.0, 1e-300]})
def test_agrees_with_the_standard_library(value: object) -> None:
    data = json.dumps(value).encode()
    assert parse_json(data) == by_the_standard_library(data)


@QUICK
@given(
    data=st.binary(max_size=40)
    | st.text(st.sampled_from('{}[]",:0123456789.eE+-truefalsn \\ud8'), max_size=30).map(str.encode)
)
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    with suppress(MalformedJson):
        assert parse_json(data) == by_the_standard_library(data)


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b"[1,]", b"01", b"+1", b"1.", b".5", b"1e", b"NaN", b"[Infinity]", b"-Infinity", b"'a'", b"[1]x",
        b'"\xff"', b'"\xed\xa0\x80"', b'"a\nb"', b'"a\x00b"', b'"\\x41"', b"\xef\xbb\xbf{}", "{}".encode("utf-16"),
        b"[" * 200_000, b'{"a":' * 200_000, b'["\\ud800", NaN]', b'["\\ud800"', b'{"a":1}{"a":2}', b"tru", b"undefined",
    ],
)  # fmt: skip
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_json(data)


@pytest.mark.parametrize("text", ["0.30000000000000001", "1.0", "1e3", "-0.0", "1E400", "0.1" + "0" * 500])
def test_number_with_point_or_exponent_stays_as_written(text: str) -> None:
    assert parse_json(f"[{text}]".encode()) == [NumberLexeme(text)]


@pytest.mark.parametrize("text", ["0", "-1", "9223372036854775808", "1" * 100])
def test_integer_is_exact(text: str) -> None:
    assert parse_json(text.encode()) == int(text)


def test_integer_of_endless_length_stays_as_written() -> None:
    assert parse_json(b"1" * 5000) == NumberLexeme("1" * 5000)


def test_number_is_never_equal_to_its_text() -> None:
    assert NumberLexeme("1.5") != "1.5"
    assert {NumberLexeme("1.5"), NumberLexeme("1.5")} == {NumberLexeme("1.5")}


@QUICK
@given(value=json_values())
def test_what_was_parsed_is_written_as_it_was(value: object) -> None:
    parsed = parse_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    assert parse_json(dump_json(parsed)) == parsed


def test_amounts_are_written_as_exact_numbers() -> None:
    assert (
        dump_json({"a": Decimal("9999999999.90"), "b": NumberLexeme("1e2")}) == b'{"a":9999999999.90,"b":1e2}'
    )


def test_lone_surrogate_is_written_as_the_replacement_character() -> None:
    assert dump_json({"\ud800": ["a\udfffb", "🧿"]}) == '{"\ufffd":["a\ufffdb","🧿"]}'.encode()


def test_what_has_no_json_form_is_a_bug() -> None:
    with pytest.raises(NotImplementedError, match="complex"):
        dump_json(1j)


MANY = b"[" + b"[]," * 1_000 + b"[]]"


@pytest.mark.parametrize(
    ("data", "limit", "is_deeper"),
    [
        (b"[" * 900 + b"]" * 900, 1, False),
        (b"[" * 1_001, 1_000, True),
        (b"[" * 1_001, 1_001, False),
        (MANY, 2, False),
        (MANY, 1, True),
        (b'{"' + b"[" * 2_000 + b'":["' + b'\\"{' * 2_000 + b'"]}', 2, False),
        (b'{"' + b"[" * 2_000 + b'":["' + b'\\"{' * 2_000 + b'"]}', 1, True),
        (b'"' + b'\\"[' * 300_000, 0, False),
        (b'"[' * 300_000, 0, True),
    ],
)
def test_depth_is_counted_outside_of_strings(data: bytes, limit: int, is_deeper: bool) -> None:
    assert nested_deeper_than(data, limit) is is_deeper
