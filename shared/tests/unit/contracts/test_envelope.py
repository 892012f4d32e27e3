"""A Kafka record is a message, whoever wrote it and whatever it holds."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tillstream.contracts.entities import EVENTS_TOPIC, Entity
from tillstream.contracts.envelope import DEFAULT_SOURCE, headers_for, read_record
from tillstream.contracts.ids import place_message_id, resolve_event_id
from tillstream.contracts.messages import Message, Origin, pack_version
from tillstream.contracts.parsing import parse_json
from tillstream.contracts.plain_events import PlainReader
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import MAX_RECORD_BYTES, payload_hash, to_json
from tillstream.contracts.topics import MAX_MESSAGE_BYTES
from tillstream.testing.builders import (
    ACCEPTED_AT,
    BUILD,
    MESSAGE_ID,
    RULES,
    UTC_ZONE,
    FakeRecord,
    event_item,
    order_item,
    user_item,
)
from tillstream.testing.strategies import QUICK, contents, json_values

pytestmark = pytest.mark.unit

PLACE_ID = place_message_id(EVENTS_TOPIC, 3, 41)
APPENDED_AT = ACCEPTED_AT + timedelta(seconds=1)
FIVE_MINUTES = timedelta(minutes=5)


def value_of(item: object) -> bytes:
    return json.dumps(item).encode()


def headers(**changed: bytes | None) -> list[tuple[str, bytes]]:
    """What a door writes, with some values replaced or (None) left out."""
    written = dict(
        headers_for(
            message_id=MESSAGE_ID, entity=Entity.USER, source="shop", accepted_at=ACCEPTED_AT, position=7
        )
    )
    return [(name, value) for name, value in {**written, **changed}.items() if value is not None]


def read_user(changed_headers: Sequence[tuple[str, bytes]], **fields: object) -> Message:
    return read_record(FakeRecord(value_of(user_item(**fields)), changed_headers), Entity.USER, UTC_ZONE)


def read_event(changed_headers: Sequence[tuple[str, bytes]], item: object) -> Message:
    return read_record(FakeRecord(value_of(item), changed_headers), Entity.EVENT, UTC_ZONE)


def reason_of(message: Message) -> Reason | None:
    return message.refusal.reason if message.refusal else None


@pytest.mark.parametrize("entity", [entity for entity in Entity if entity is not Entity.ORDER_ITEM])
@QUICK
@given(data=st.data(), position=st.integers(0, 9_999), source=st.sampled_from(["shop", "pärtner", "x" * 320]))
def test_what_a_door_published_arrives_as_it_was_checked(
    entity: Entity, data: st.DataObject, position: int, source: str
) -> None:
    content = data.draw(contents(entity))
    if entity is Entity.EVENT:
        content["event_id"] = str(MESSAGE_ID)
    value = to_json(entity, content)
    written = headers_for(
        message_id=MESSAGE_ID, entity=entity, source=source, accepted_at=ACCEPTED_AT, position=position
    )
    version_at = content.get("updated_at", ACCEPTED_AT)
    message = read_record(FakeRecord(value, written), entity, UTC_ZONE)
    assert message.refusal is None
    assert message.content == content
    assert (message.message_id, message.source, message.accepted_at) == (MESSAGE_ID, source, ACCEPTED_AT)
    assert message.version == pack_version(version_at, ACCEPTED_AT, position, MESSAGE_ID)
    assert message.origin == Origin(topic=EVENTS_TOPIC, partition=3, offset=41)
    assert message.payload == value


def test_headers_are_cloud_events_in_binary_mode() -> None:
    written = headers_for(
        message_id=MESSAGE_ID,
        entity=Entity.EVENT,
        source="shop",
        accepted_at=datetime(2024, 6, 1, 14, tzinfo=UTC),
        position=12,
    )
    assert written == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"0190163d-8694-7394-8a1c-1d2d3b2c5a11"),
        ("ce_type", b"shop.event.v1"),
        ("ce_source", b"shop"),
        ("ce_time", b"2024-06-01T14:00:00.000000Z"),
        ("ce_sequence", b"12"),
        ("content-type", b"application/json"),
    ]


def test_record_without_headers_gets_everything_from_its_place() -> None:
    message = read_user([])
    assert (message.message_id, message.source) == (PLACE_ID, DEFAULT_SOURCE)
    assert message.accepted_at == APPENDED_AT
    assert message.version == pack_version(APPENDED_AT, APPENDED_AT, 0, PLACE_ID)


@pytest.mark.parametrize(
    "stated", [b"", b"17", b"not-a-uuid", b"\xff", b"{0190163d-8694-7394-8a1c-1d2d3b2c5a11}", b"0190163d869473948a1c1d2d3b2c5a11"]
)  # fmt: skip
def test_message_id_that_is_no_uuid_is_replaced_by_one_of_the_place(stated: bytes) -> None:
    assert read_user(headers(ce_id=stated)).message_id == PLACE_ID


@pytest.mark.parametrize(
    "stated",
    [
        b"",
        b"\xff",
        b"yesterday",
        b"1999-12-31T23:59:59Z",
        b"2024-02-30",
        b"10000-01-01T00:00:00Z",
        b"1717243200",
    ],
)
def test_moment_of_acceptance_that_cannot_be_is_the_append_time(stated: bytes) -> None:
    assert read_user(headers(ce_time=stated)).accepted_at == APPENDED_AT


def test_door_whose_clock_runs_ahead_is_not_believed() -> None:
    edge = APPENDED_AT + FIVE_MINUTES
    beyond = edge + timedelta(microseconds=1)
    assert read_user(headers(ce_time=edge.isoformat().encode())).accepted_at == edge
    assert read_user(headers(ce_time=beyond.isoformat().encode())).accepted_at == APPENDED_AT


def test_times_are_checked_against_the_moment_of_acceptance_and_not_against_the_append_time() -> None:
    late = FakeRecord(
        value_of(user_item(updated_at=(ACCEPTED_AT + FIVE_MINUTES).isoformat())),
        headers(),
        timestamp=ACCEPTED_AT + timedelta(days=9),
    )
    assert read_record(late, Entity.USER, UTC_ZONE).refusal is None
    beyond = (ACCEPTED_AT + FIVE_MINUTES + timedelta(microseconds=1)).isoformat()
    assert reason_of(read_user(headers(), updated_at=beyond)) is Reason.INVALID_TIMESTAMP


def test_append_time_before_the_calendar_begins_does_not_break_the_order_of_versions() -> None:
    record = FakeRecord(value_of(user_item()), timestamp=datetime(1969, 12, 31, tzinfo=UTC))
    assert read_record(record, Entity.USER, UTC_ZONE).version[0] == 0


@pytest.mark.parametrize(
    "stated", [b"", b"-1", b"+1", b"1.0", b"x", b"\xff", b"9" * 19, "٣".encode(), b"1\n"]
)
def test_position_that_is_no_number_is_zero(stated: bytes) -> None:
    assert read_user(headers(ce_sequence=stated)).version == read_user(headers(ce_sequence=b"0")).version


@pytest.mark.parametrize("source", [b"", b"\xff", b"a\x00b", b"x" * 321, "\x85".encode()])
def test_source_that_cannot_be_read_is_refused(source: bytes) -> None:
    message = read_event(headers(ce_source=source), event_item(event_id="17"))
    assert reason_of(message) is Reason.INVALID_HEADER
    assert message.source == DEFAULT_SOURCE
    assert message.message_id == MESSAGE_ID


def test_of_a_header_that_comes_twice_the_last_counts() -> None:
    twice = [*headers(), ("ce_source", b"partner"), ("ce_sequence", b"9")]
    message = read_user(twice)
    assert message.source == "partner"
    assert message.version == pack_version(ACCEPTED_AT, ACCEPTED_AT, 9, MESSAGE_ID)


def test_header_without_a_value_is_as_good_as_none() -> None:
    nulls: Any = [("ce_id", None), ("ce_time", None), ("ce_sequence", None)]
    assert read_user(nulls) == read_user([])


def test_type_and_other_headers_do_not_matter() -> None:
    assert read_user([*headers(ce_type=b"shop.order.v9"), ("traceparent", b"\xff")]) == read_user(headers())


def test_updated_at_begins_the_version_also_of_what_is_refused() -> None:
    updated_at = datetime(2024, 3, 1, tzinfo=UTC)
    for fields in ({}, {"email": "nobody"}):
        message = read_user(headers(), updated_at="2024-03-01", **fields)
        assert message.version == pack_version(updated_at, ACCEPTED_AT, 7, MESSAGE_ID)
    for bad in ("2999-01-01", "never", 5, None):
        message = read_user(headers(), updated_at=bad, email="nobody")
        assert message.version == pack_version(ACCEPTED_AT, ACCEPTED_AT, 7, MESSAGE_ID)


def test_event_has_the_id_it_was_given_under_its_source() -> None:
    by_number = read_event(headers(ce_source=b"partner"), event_item(event_id="17"))
    assert by_number.message_id == resolve_event_id("partner", "17")
    own = UUID("b8f0a1de-6d3e-4a8f-93c1-0d7c1a2b3c4d")
    assert read_event(headers(), event_item(event_id=str(own).upper())).message_id == own


def test_event_without_an_id_has_that_of_its_message() -> None:
    item = event_item()
    del item["event_id"]
    assert read_event(headers(), item).message_id == MESSAGE_ID
    assert read_event([], item).message_id == PLACE_ID


def test_refused_event_keeps_its_own_id_where_it_can_be_read() -> None:
    assert read_event(headers(), event_item(user_id=0)).message_id == resolve_event_id("shop", "17")
    for unreadable in (17, "", "\ud800", None):
        assert read_event(headers(), event_item(event_id=unreadable, user_id=0)).message_id == MESSAGE_ID


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.INVALID_RECORD),
        (b"", Reason.MALFORMED_JSON),
        (b"\xff\xfe", Reason.MALFORMED_JSON),
        (b"{", Reason.MALFORMED_JSON),
        (b'{"user_id":NaN}', Reason.MALFORMED_JSON),
        (b"[" * 500_000, Reason.MALFORMED_JSON),
        (b"[" * 500 + b"]" * 500, Reason.MALFORMED_JSON),
        (b'{"a":' * 500 + b"1" + b"}" * 500, Reason.MALFORMED_JSON),
        (b"null", Reason.INVALID_RECORD),
        (b"[]", Reason.INVALID_RECORD),
        (b'"text"', Reason.INVALID_RECORD),
        (b"1", Reason.INVALID_RECORD),
        (b"{}", Reason.MISSING_FIELD),
        (value_of(event_item(user_id=10**400)), Reason.INVALID_ID),
        (value_of(event_item(event_id="\x00")), Reason.INVALID_ID),
        (value_of(event_item(event_id="\ud800")), Reason.INVALID_ID),
        (value_of(event_item(event_timestamp="10000-01-01")), Reason.INVALID_TIMESTAMP),
        (value_of(event_item(**{"\ud800": 1})), Reason.UNKNOWN_FIELD),
        (value_of(event_item(**{"\x00": 1})), Reason.UNKNOWN_FIELD),
    ],
)
def test_hostile_value_is_a_refusal_with_its_bytes(value: bytes | None, reason: Reason) -> None:
    message = read_record(FakeRecord(value, headers()), Entity.EVENT, UTC_ZONE)
    assert reason_of(message) is reason
    assert message.content is None
    assert message.payload == (value or b"")
    assert message.content_hash == payload_hash(value or b"")


HEADER_NAMES = ["ce_id", "ce_source", "ce_time", "ce_sequence", "ce_type", "x"]
HEADER_VALUES = [
    b"",
    b"\xff",
    b"shop",
    b"2024-06-01T12:00:00Z",
    b"2999-01-01",
    b"7",
    b"-7",
    b"\x00",
    str(MESSAGE_ID).encode(),
]
ANY_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(HEADER_NAMES) | st.text(max_size=5),
        st.sampled_from(HEADER_VALUES) | st.binary(max_size=12) | st.none(),
    ),
    max_size=6,
)
ANY_MOMENT = st.datetimes(
    datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001 - Hypothesis adds the zone
)  # fmt: skip


@st.composite
def values(draw: st.DrawFn, entity: Entity) -> bytes | None:
    """Garbage, any JSON, or a good record with anything in some of its fields; now and then nothing at all."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return None
    if kind == 1:
        return draw(st.binary(max_size=60))
    if kind == 2:
        return value_of(draw(json_values()))
    item = BUILD[entity](items=[{}]) if entity is Entity.ORDER else BUILD[entity]()
    names = st.sampled_from([*item, "updated_at", "items"]) | st.text(max_size=4)
    item.update(draw(st.dictionaries(names, json_values(), max_size=3)))
    return value_of(item)


def storable(text: str) -> bool:
    """Whether PostgreSQL takes the text."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


@pytest.mark.parametrize("entity", Entity)
@QUICK
@given(data=st.data(), any_headers=ANY_HEADERS, appended_at=ANY_MOMENT)
def test_any_record_is_one_message_that_can_be_stored(
    entity: Entity, data: st.DataObject, any_headers: Any, appended_at: datetime
) -> None:
    record = FakeRecord(data.draw(values(entity)), any_headers, timestamp=appended_at)
    message = read_record(record, entity, UTC_ZONE)
    assert (message.content is None) != (message.refusal is None)
    assert (len(message.version), len(message.content_hash)) == (40, 16)
    assert message.accepted_at.tzinfo is UTC
    assert storable(message.source)
    if message.refusal is not None:
        assert storable(message.refusal.message)
        assert storable(message.refusal.field or "")
    else:
        assert storable(repr(message.content))
        assert parse_json(to_json(entity, message.content or {}))


@QUICK
@given(value=values(Entity.ORDER), any_headers=ANY_HEADERS)
# The C code of Python 3.13 descends 10,000 levels, its callers' included.
@example(value=b'{"order_id":1,"items":' + b"[" * 9_600 + b"]" * 9_600 + b"}", any_headers=[])
@example(value=b'{"a":' * 9_600 + b"1" + b"}" * 9_600, any_headers=[])
def test_same_record_gives_the_same_message_at_any_depth_of_the_caller(
    value: bytes | None, any_headers: Any
) -> None:
    record = FakeRecord(value, any_headers)

    def read_below(depth: int) -> Message:
        """Reads after a descent through C code, whose depth is limited apart from that of Python's own calls."""
        return next(map(read_below, [depth - 1])) if depth else read_record(record, Entity.ORDER, UTC_ZONE)

    assert read_below(300) == read_below(0)


@pytest.mark.parametrize("entity", [Entity.EVENT, Entity.USER])
def test_of_a_value_that_only_compression_brought_its_beginning_is_kept(entity: Entity) -> None:
    value = b" " * MAX_RECORD_BYTES + b"{}"
    record = FakeRecord(value, headers())
    message = read_record(record, entity, UTC_ZONE)
    assert (message.payload, reason_of(message)) == (value[:MAX_RECORD_BYTES], Reason.RECORD_TOO_LARGE)
    assert message.refusal is not None
    assert str(len(value)) in message.refusal.message
    assert PlainReader(UTC_ZONE).read([record]) == [read_record(record, Entity.EVENT, UTC_ZONE)]
    just = FakeRecord(value[:MAX_RECORD_BYTES], headers())
    assert reason_of(read_record(just, entity, UTC_ZONE)) is not Reason.RECORD_TOO_LARGE


def test_a_batch_that_cannot_be_read_is_kept_whole_as_the_broker_took_it() -> None:
    packed = b"\x01" * MAX_MESSAGE_BYTES
    record = FakeRecord(packed, (), problem="It cannot be unpacked.")
    for entity in Entity:
        message = read_record(record, entity, UTC_ZONE)
        assert (message.payload, reason_of(message)) == (packed, Reason.UNREADABLE_BATCH)
        assert message.refusal is not None
        assert message.refusal.message == "It cannot be unpacked."
        assert message.message_id == place_message_id(record.topic, record.partition, record.offset)


def test_bare_date_is_read_in_the_shops_zone_and_a_checked_record_in_none() -> None:
    assert reason_of(read_user(headers(), signup_date="2024-01-05")) is None
    order = order_item(order_date="2024-01-20")
    record = FakeRecord(value_of(order), headers())
    content = read_record(record, Entity.ORDER, RULES.shop_timezone).content
    assert content is not None
    assert content["order_date"] == datetime(2024, 1, 20, tzinfo=UTC)
