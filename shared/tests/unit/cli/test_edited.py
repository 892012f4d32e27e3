"""Payloads on their way through a person's editor."""

from base64 import b64encode
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.cli.quarantine import edited
from tillstream.cli.quarantine.edited import (
    NO_OBJECT,
    NOT_KEPT,
    is_same,
    merged,
    patched,
    read_lines,
    read_patch,
    to_line,
)
from tillstream.cli.quarantine.entries import Entry
from tillstream.contracts.parsing import dump_json, parse_json
from tillstream.errors import WrongOption

pytestmark = pytest.mark.unit

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def entry(payload: bytes, number: int = 5) -> Entry:
    return Entry(
        id=number,
        entity="product",
        message_id=UUID(int=number),
        reason="negative_amount",
        message="price must not be below zero.",
        source="shop",
        topic="shop.products.v1",
        kafka_partition=3,
        kafka_offset=41,
        job_id=None,
        line=None,
        accepted_at=NOW,
        received_at=NOW,
        version=b"v" * 40,
        payload=payload,
        resolved_at=None,
        resolution=None,
        is_requested=False,
    )


# RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_its_rfc_says(target: Any, patch: Any, result: Any) -> None:
    before = dump_json(target)
    assert merged(target, patch) == result
    assert dump_json(target) == before


def test_a_patch_keeps_numbers_as_they_were_written() -> None:
    assert patched(b'{"price": 19.90, "n": 1}', parse_json(b'{"n": 2.50}')) == b'{"price":19.90,"n":2.50}'


@pytest.mark.parametrize("payload", [b"\xff", b"", b"5", b'"text"', b"[]", b"6,Ann,ann@example.org"])
def test_what_is_no_object_cannot_be_patched(payload: bytes) -> None:
    assert patched(payload, {"a": 1}) == NO_OBJECT


@pytest.mark.parametrize(
    "payload",
    [
        rb'{"price":-1,"name":"\ud800"}',
        rb'{"price":-1,"\udfff":{}}',
        rb'{"name":"\ud800","deep":' + b"[" * 1_500 + b"]" * 1_500 + b"}",
    ],
)
def test_what_a_patch_could_not_leave_alone_is_not_patched(payload: bytes) -> None:
    assert patched(payload, {"price": 1}) == NOT_KEPT


def test_a_patch_may_mend_a_lone_surrogate() -> None:
    assert patched(rb'{"name":"\ud800","price":1}', {"name": "Tea"}) == b'{"name":"Tea","price":1}'


def test_a_lone_surrogate_and_its_replacement_are_not_the_same() -> None:
    assert not is_same(rb'{"name":"\ud800"}', '{"name":"\ufffd"}'.encode())


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)
    ).map(dump_json)
)
def test_an_export_that_nobody_edited_changes_nothing(payload: bytes) -> None:
    line = to_line(entry(payload))
    assert b"\n" not in line
    assert is_same(read_lines(BytesIO(line + b"\n"), 1)[5], payload)


@pytest.mark.parametrize(
    "payload", [b"\xffno json", rb'{"name":"\ud800"}', b"NaN", b"[" * 5_000, b"\x00", b""]
)
def test_what_json_cannot_hold_without_loss_goes_in_base64(payload: bytes) -> None:
    line = parse_json(to_line(entry(payload)))
    assert line["payload_base64"] == b64encode(payload).decode()
    assert read_lines(BytesIO(dump_json(line)), 1) == {5: payload}


def test_a_line_shows_id_reason_message_and_payload() -> None:
    assert to_line(entry(b'{"price": -1.50}')) == (
        b'{"id":5,"reason":"negative_amount","message":"price must not be below zero.","payload":{"price":-1.50}}'
    )


def test_true_and_one_are_not_the_same() -> None:
    assert not is_same(b'{"a":1}', b'{"a":true}')
    assert is_same(b'{"a" : 1}', b'{"a":1}')


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([b"{"], "--file, line 1: must be JSON"),
        ([b"[]"], "--file, line 1: must be an object as `export` writes it."),
        (
            [b'{"id":1,"payload":{}}', b'{"id":"2","payload":{}}'],
            "--file, line 2: id must be that of an entry.",
        ),
        ([b'{"id":true,"payload":{}}'], "--file, line 1: id must be"),
        ([b'{"id":1}'], "--file, line 1: must have either payload or payload_base64."),
        ([b'{"id":1,"payload":{},"payload_base64":""}'], "must have either"),
        ([rb'{"id":1,"payload":{"name":"\ud800"}}'], "payload has a lone surrogate or is nested too deeply"),
        ([b'{"id":1,"payload_base64":"*"}'], "payload_base64 must be base64."),
        ([b'{"id":1,"payload_base64":7}'], "payload_base64 must be base64."),
        ([b'{"id":1,"payload":{},"reson":""}'], "has a field 'reson' that `export` does not write."),
        ([b'{"id":1,"payload":{}}'] * 2, "--file, line 2: entry 1 must not come twice."),
        ([b'{"id":%d,"payload":{}}' % n for n in (1, 2, 3, 4)], "--file must have at most 3 entries"),
        ([b"", b"  \n"], "--file must have at least one entry."),
        ([b'{"id":1,"payload":"%s"}' % (b"x" * 2**20)], "the payload must not be larger than"),
        ([b" " * 5 + b"x" * (edited.MAX_LINE_BYTES + 1)], "must not be longer than"),
    ],
)
def test_a_wrong_line_is_named_with_the_rule(lines: list[bytes], sentence: str) -> None:
    with pytest.raises(WrongOption) as raised:
        read_lines(BytesIO(b"\n".join(lines)), 3)
    assert sentence in str(raised.value)


def test_no_more_is_read_of_a_line_than_one_may_have() -> None:
    endless = BytesIO(b"x" * (3 * edited.MAX_LINE_BYTES))
    with pytest.raises(WrongOption):
        read_lines(endless, 1)
    assert endless.tell() == edited.MAX_LINE_BYTES + 1


def test_what_a_terminal_would_obey_is_an_escape_in_an_export() -> None:
    payload = dump_json({"name": "a\x9b2Jb\u202ec\u2066d é"})
    line = to_line(entry(payload))
    assert rb"a\u009b2Jb\u202ec\u2066d " + "é".encode() in line
    assert read_lines(BytesIO(line), 1) == {5: payload}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "--patch must be JSON"),
        ("[1]", "--patch must be a JSON object"),
        ("5", "--patch must be a JSON object"),
        ('{"a":' * 3_000 + "1" + "}" * 3_000, "--patch "),
        ("\udcff", "--patch must be JSON"),
        (r'{"name":"\ud800"}', "--patch must have no lone surrogate"),
    ],
)
def test_a_wrong_patch_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(WrongOption) as raised:
        read_patch(text)
    assert sentence in str(raised.value)
