"""The quick way to read an event says the same as the rules, or nothing."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import headers_for, read_record
from tillstream.contracts.messages import Message, microseconds
from tillstream.contracts.plain_events import SLICE, PlainEvent, PlainReader, acceptance_of
from tillstream.contracts.records import to_json
from tillstream.contracts.rules import AHEAD
from tillstream.testing.builders import ACCEPTED_AT, MESSAGE_ID, UTC_ZONE, FakeRecord
from tillstream.testing.strategies import ID_TEXTS, TYPE_NAMES, contents, json_values

pytestmark = pytest.mark.unit

ID = str(MESSAGE_ID)
LATEST = ACCEPTED_AT + AHEAD
JUST_AHEAD = LATEST + timedelta(microseconds=1)
# Each is right, almost right, or right in a form that only the rules know.
IDS = [
    ID,
    ID.upper(),
    ID.replace("-", ""),
    f"{{{ID}}}",
    ID[:-1],
    f"{ID[:-1]}g",
    "17",
    "",
    f"{ID[1:]}-",
    " " * 36,
]
IDS += [ID.replace("-", " "), ID.replace("-", "0"), f"{ID[:10]} {ID[11:]}", "\N{ARABIC-INDIC DIGIT ONE}" * 36]
TIMES = [
    "2024-06-01T12:00:00Z",
    "2024-06-01T12:00:00.123456Z",
    "2024-06-01T12:00:00.1Z",
    "2024-06-01 12:00:00Z",
]
TIMES += [
    "2024-06-01T12:00:00+02:00",
    "2024-06-01",
    "2024-02-30T12:00:00Z",
    "2024-06-01T24:00:00Z",
    "2024-W22-6",
]
TIMES += [
    "2024-06-01T12:00:60Z",
    "2024-06-01T12:00:00.123456z",
    "2024-06-01t12:00:00Z",
    "2024-06-01T12:00:00ZZZZZZZZ",
]
TIMES += [
    "1999-12-31T23:59:59Z",
    "2000-01-01T00:00:00Z",
    "2024-06-01T12:00:00,123456Z",
    "2024-06-01T12:00:00.12345 Z",
]
TIMES += [f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for moment in (LATEST, JUST_AHEAD)]
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.sampled_from(IDS).map(json.dumps) | st.just("null"),
        "user_id": st.sampled_from(ID_TEXTS),
        "event_type": st.sampled_from(TYPE_NAMES).map(json.dumps),
        "product_id": st.sampled_from(ID_TEXTS),
        "event_timestamp": st.sampled_from(TIMES).map(json.dumps) | st.just("1728988200"),
        "updated_at": st.just('"2024-06-01T12:00:00Z"'),
        "other": st.just("1"),
    },
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "ce_source": st.sampled_from([b"shop", b"partner", b"", b"\xff", b"a\x00b", "ü".encode(), b"x" * 400]),
        "ce_time": st.sampled_from([b"2024-06-01T12:00:00Z", b"\xff", b"", b"2999-01-01T00:00:00Z", b"noon"]),
        "ce_id": st.sampled_from([b"nonsense", ID.encode()]),
    },
)  # fmt: skip


def plain(members: dict[str, str]) -> dict[str, str]:
    """A good record, with some members replaced."""
    good = {"event_id": f'"{ID}"', "user_id": "7", "event_type": '"purchase"'}
    return {**good, "event_timestamp": '"2024-06-01T12:00:00Z"', **members}


def written(members: dict[str, str]) -> bytes:
    return ("{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items()) + "}").encode()


def agree(record: FakeRecord) -> bool:
    """Whether the quick way read the record; what it read, the rules read alike."""
    (event,) = PlainReader(UTC_ZONE).read([record])
    by_the_rules = read_record(record, Entity.EVENT, UTC_ZONE)
    if isinstance(event, Message):
        assert event == by_the_rules
        return False
    content = by_the_rules.content
    assert content is not None, "a plain event keeps the contract"
    assert event.complete() == by_the_rules
    assert (event.message_id, event.source) == (by_the_rules.message_id, by_the_rules.source)
    assert (event.form.user_id, event.form.event_type) == (content["user_id"], content["event_type"])
    assert event.form.product_id == content.get("product_id")
    assert event.happened_us == microseconds(content["event_timestamp"])
    assert event.accepted == (by_the_rules.accepted_at, microseconds(by_the_rules.accepted_at))
    return True


@settings(max_examples=400, deadline=None)
@given(changed=MEMBERS, headers=HEADERS)
@example(changed={}, headers={})
def test_a_changed_record_is_read_by_the_rules_or_as_they_read_it(
    changed: dict[str, str], headers: dict[str, bytes]
) -> None:
    agree(FakeRecord(written(plain(changed)), list(headers.items())))


@given(content=contents(Entity.EVENT), position=st.integers(0, 9_999))
def test_what_our_own_door_writes_is_plain(content: dict[str, Any], position: int) -> None:
    content = {name: value for name, value in content.items() if name != "updated_at"} | {"event_id": ID}
    headers = headers_for(
        message_id=MESSAGE_ID,
        entity=Entity.EVENT,
        source="shop",
        accepted_at=ACCEPTED_AT,
        position=position,
    )
    assert agree(FakeRecord(to_json(Entity.EVENT, content), headers))


@given(value=st.binary(max_size=40) | json_values().map(lambda item: json.dumps(item).encode()) | st.none())
def test_whatever_else_stands_in_the_topic_is_left_to_the_rules(value: bytes | None) -> None:
    assert not agree(FakeRecord(value))


def test_a_repeated_name_counts_as_in_the_rules() -> None:
    twice = written(plain({})).replace(b'"user_id":7', b'"user_id":7,"user_id":8')
    assert agree(FakeRecord(twice))


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.none() | MEMBERS, min_size=1, max_size=8))
def test_records_are_read_together_as_each_is_alone(changes: list[dict[str, str] | None]) -> None:
    records = [
        FakeRecord(
            None if changed is None and place == 0 else written(plain(changed or {})),
            offset=place,
            timestamp=ACCEPTED_AT + timedelta(milliseconds=place),
        )
        for place, changed in enumerate(changes)
    ]
    reader = PlainReader(UTC_ZONE)
    assert reader.read(records) == [event for record in records for event in reader.read([record])]


def test_one_odd_record_leaves_its_neighbours_plain_and_in_their_places() -> None:
    records = [FakeRecord(written(plain({})), offset=offset) for offset in range(3 * SLICE)]
    records[SLICE + 5] = FakeRecord(b"{", offset=SLICE + 5)
    events = PlainReader(UTC_ZONE).read(records)
    assert [place for place, event in enumerate(events) if isinstance(event, Message)] == [SLICE + 5]
    plain_events = [event for event in events if isinstance(event, PlainEvent)]
    assert [event.record.offset for event in plain_events] == [r.offset for r in records if r.value != b"{"]


def test_a_moment_ofacceptance_of_of_a_megabyte_is_read_by_the_rules_and_not_remembered() -> None:
    acceptance_of.cache_clear()
    huge = FakeRecord(written(plain({})), [("ce_time", b"9" * 1024 * 1024)])
    assert not agree(huge)
    assert acceptance_of.cache_info().currsize == 0
