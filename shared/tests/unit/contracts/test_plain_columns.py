"""Events that are read in columns are those that the rules read, or none."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.entities import EVENTS_TOPIC, Entity
from tillstream.contracts.envelope import read_record
from tillstream.contracts.plain_columns import PlainColumns, plain_columns
from tillstream.contracts.plain_events import PlainReader
from tillstream.contracts.record_forms import LEAST_RECORDS
from tillstream.contracts.rules import AHEAD, EARLIEST, MAX_ID
from tillstream.kafka.records import Place
from tillstream.testing.builders import ACCEPTED_AT, UTC_ZONE
from tillstream.testing.log_batches import ToLog, blocks_of, door_headers, log_batch, plain_event
from tillstream.testing.strategies import QUICK

pytestmark = pytest.mark.unit

PLACE = Place(EVENTS_TOPIC, 3)
MICROSECOND = timedelta(microseconds=1)
FAR = ACCEPTED_AT + timedelta(days=400)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from([1, MAX_ID, MAX_ID + 1, 10**19 - 1]).map(str),
        "product_id": st.sampled_from(["", "1", str(MAX_ID), str(MAX_ID + 1)]),
        "event_type": st.sampled_from(["page_view", "add_to_cart", "purchase", "refund"]).map('"{}"'.format),
        "event_timestamp": st.sampled_from(
            [
                "2024-02-30T12:00:00Z",
                "2024-02-29T23:59:59.999999Z",
                "2024-05-31T12:60:00Z",
                "2024-05-31T12:00:60.000000Z",
                "0000-01-01T00:00:00Z",
                *(
                    f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
                    for moment in (
                        EARLIEST,
                        EARLIEST - timedelta(microseconds=1),
                        ACCEPTED_AT + AHEAD,
                        ACCEPTED_AT + AHEAD + timedelta(microseconds=1),
                    )
                ),
            ]
        ).map('"{}"'.format),
    },
)
HEADERS = st.builds(
    door_headers,
    st.integers(0, 10**17),
    st.sampled_from(["shop", "partner", "ü" * 320, "x" * 321, "a\x7fb", "\u2028"]),
    st.sampled_from([ACCEPTED_AT, ACCEPTED_AT - timedelta(days=3), FAR, EARLIEST - timedelta(days=1)]),
)
CHANGED = st.builds(lambda number, members, headers: plain_event(number, **members)._replace(headers=headers),
                    st.integers(0, 999_999), MEMBERS, HEADERS)  # fmt: skip


def read(records: list[ToLog]) -> PlainColumns | None:
    """What the quick way says; a form that it does not know counts as nothing said."""
    [block] = blocks_of(log_batch(records, base=100), PLACE)
    return None if block is None else plain_columns(block, UTC_ZONE)


@given(st.lists(CHANGED, min_size=1, max_size=4))
@QUICK
def test_what_is_said_in_columns_is_what_the_rules_say(changed: list[ToLog]) -> None:
    records = [*map(plain_event, range(LEAST_RECORDS)), *changed]
    events = read(records)
    if events is None:
        return
    [block] = blocks_of(log_batch(records, base=100), PLACE)
    assert block is not None
    assert [event.complete() for event in events] == [
        read_record(record, Entity.EVENT, UTC_ZONE) for record in block
    ]
    assert list(events) == PlainReader(UTC_ZONE).read(list(block))
    assert list(events.offsets) == [record.offset for record in block]


@given(st.integers(LEAST_RECORDS, 60), st.data())
@QUICK
def test_what_our_door_writes_is_read_in_columns(count: int, data: st.DataObject) -> None:
    products = data.draw(st.lists(st.sampled_from(["", "7"]), min_size=count, max_size=count))
    events = read([plain_event(number, product_id=key) for number, key in enumerate(products)])
    assert events is not None
    assert list(events.product_ids) == [int(key) if key else None for key in products]
    assert len(events) == count


def at(moment: datetime) -> str:
    return f'"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"'


@pytest.mark.parametrize(
    ("members", "is_plain"),
    [
        ({"user_id": str(MAX_ID)}, True),
        ({"user_id": str(MAX_ID + 1)}, False),
        ({"product_id": str(MAX_ID)}, True),
        ({"product_id": str(MAX_ID + 1)}, False),
        ({"event_type": '"refund"'}, False),
        ({"event_timestamp": '"2024-02-29T23:59:59Z"'}, True),
        ({"event_timestamp": '"2023-02-29T23:59:59Z"'}, False),
        ({"event_timestamp": '"2024-05-31T12:60:00Z"'}, False),
        ({"event_timestamp": at(EARLIEST)}, True),
        ({"event_timestamp": at(EARLIEST - MICROSECOND)}, False),
        ({"event_timestamp": at(ACCEPTED_AT + AHEAD)}, True),
        ({"event_timestamp": at(ACCEPTED_AT + AHEAD + MICROSECOND)}, False),
    ],
)
def test_one_event_at_a_bound_decides_for_all(members: dict[str, str], is_plain: bool) -> None:
    others = [plain_event(number) for number in range(LEAST_RECORDS)]
    for records in ([plain_event(99, **members), *others], [*others, plain_event(99, **members)]):
        assert (read(records) is not None) is is_plain


def test_an_event_is_held_against_the_earliest_moment_of_acceptance() -> None:
    later = ACCEPTED_AT - timedelta(hours=1)
    ahead = plain_event(99, event_timestamp=at(later + AHEAD + MICROSECOND))._replace(
        headers=door_headers(99, accepted_at=later)
    )
    assert read([plain_event(number) for number in range(LEAST_RECORDS)]) is not None
    assert read([*(plain_event(number) for number in range(LEAST_RECORDS)), ahead]) is None


def test_some_of_them_are_events() -> None:
    events = read([plain_event(number) for number in range(20)])
    assert events is not None
    assert events[2:4] == [events[2], events[3]]
    assert events[-1].record.offset == 119
    assert repr(events[-1].record) == "<shop.events.v1[3] 119>"
    assert events[3].record != events[4].record
    assert len({hash(event.record) for event in events}) == len(events)
