"""Ids are the same for the same input, different for any other, and never change between releases."""

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.ids import (
    NAMESPACE,
    new_id,
    new_ids,
    payload_message_id,
    place_message_id,
    read_uuid,
    request_message_id,
    resolve_event_id,
    row_event_id,
    row_message_id,
)
from tillstream.testing.strategies import QUICK, texts

pytestmark = pytest.mark.unit

TEXTS = texts().map(lambda written: written.text)
UPPER = "0190163D-8694-7394-8A1C-1D2D3B2C5A11"


@pytest.mark.parametrize("raw", [UPPER, UPPER.lower(), "00000000-0000-0000-0000-000000000000"])
def test_uuid_stays_whatever_its_source_and_case(raw: str) -> None:
    assert resolve_event_id("a", raw) == resolve_event_id("b", raw) == UUID(raw)


@pytest.mark.parametrize(
    "raw",
    [
        UPPER.replace("-", ""), f"{{{UPPER}}}", f"urn:uuid:{UPPER}", f" {UPPER}", f"{UPPER}\n", UPPER[:-1], f"{UPPER}0", "17",
        UPPER.replace("0", "٠"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_canonical_form_is_a_name_of_its_source(raw: str) -> None:
    assert read_uuid(raw) is None
    resolved = resolve_event_id("a", raw)
    assert resolved.version == 5
    assert resolved != resolve_event_id("b", raw)
    assert resolved == resolve_event_id("a", raw)


def test_ids_are_these_for_ever() -> None:
    job = UUID("0190163d-8694-7394-8a1c-1d2d3b2c5aff")
    assert str(NAMESPACE) == "6f1c1e0a-3c5b-5d7e-9a42-7411577ea300"
    assert [
        str(resolve_event_id("shop", "17")),
        str(row_event_id("shop", bytes(16))),
        str(row_message_id(job, 2)),
        str(request_message_id("/ingest/orders", "shop", "k", 0)),
        str(place_message_id("shop.orders.v1", 3, 41)),
        str(payload_message_id("shop.files.v1", bytes(16))),
    ] == [
        "8e1f30be-8afe-5b05-9bdb-f5cc340d6909",
        "8890e2d2-3f44-5c82-bc84-ce17c31b231b",
        "0190163d-8694-8a3d-b5dc-850000000002",
        "35e01693-39f6-5108-ba07-5f53c9873209",
        "8d4ddcf9-2aad-5d77-84f7-92e7dc5ba97b",
        "d086067d-c602-58b0-ace2-19996bfada5f",
    ]


@QUICK
@given(first=st.tuples(TEXTS, TEXTS), second=st.tuples(TEXTS, TEXTS))
def test_sources_and_ids_never_run_together(first: tuple[str, str], second: tuple[str, str]) -> None:
    assert (resolve_event_id(*first) == resolve_event_id(*second)) == (first == second)


def test_parts_of_a_name_do_not_run_together() -> None:
    ids = {
        resolve_event_id("a", "bc"),
        resolve_event_id("ab", "c"),
        request_message_id("/a", "shop", "1", 11),
        request_message_id("/a", "shop", "11", 1),
        request_message_id("/a", "shop", "1\x1f1", 1),
        request_message_id("/a1", "shop", "1", 1),
        request_message_id("/a", "partner", "1", 11),
        row_event_id("a", b"bc"),
        place_message_id("a", 1, 11),
        place_message_id("a", 11, 1),
        payload_message_id("a", b"bc"),
    }
    assert len(ids) == 11


def test_new_ids_differ_and_sort_by_time() -> None:
    made = [new_id() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert {each.version for each in made} == {7}
    assert {each.variant for each in made} == {RFC_4122}
    milliseconds = [each.int >> 80 for each in made]
    assert milliseconds == sorted(milliseconds)


def test_many_new_ids_are_all_different_ascending_and_of_the_same_make_as_one() -> None:
    before, made, after = new_id(), new_ids(2_000), new_id()
    assert made == sorted(set(made))
    ids = [UUID(text) for text in made]
    assert [str(each) for each in ids] == made
    assert {(each.version, each.variant) for each in ids} == {(7, RFC_4122)}
    assert before.int >> 80 <= ids[0].int >> 80 == ids[-1].int >> 80 <= after.int >> 80
    assert len({each.int >> 62 & 0x3 for each in ids}) == 1
    assert len({each.int & (1 << 62) - 1 for each in ids}) == len(ids)
    assert new_ids(0) == []
