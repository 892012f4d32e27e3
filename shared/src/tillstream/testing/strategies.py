"""Hypothesis strategies for records, as they are written and as they are checked.

A record that is only written is a `WrittenRecord`: each field has the text in which a client writes it. Every door can be
given the same one: `as_json`, `as_cells`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Refusal
from tillstream.contracts.parsing import parse_json
from tillstream.contracts.records import check
from tillstream.contracts.rules import EVENT_TYPES, MAX_ID, MAX_TEXT_CHARS, ORDER_STATUSES, Rules
from tillstream.testing.builders import ACCEPTED_AT, RULES

# For property tests of the unit tier. The machine may be busy, so no single example has a deadline.
QUICK = settings(max_examples=30, deadline=None)

# What comes to a door as the id of a user or product, in JSON, and as the type of an event: right, almost right and wrong.
ID_TEXTS = ("1", "7", "0", "-1", "1.0", "1e2", '"1"', "true", "null", str(MAX_ID), str(MAX_ID + 1), "01")
TYPE_NAMES = (*EVENT_TYPES, "Purchase", "", "page_veiw")
MAX_CENTS = 10**12 - 1
_EARLIEST_DRAWN = datetime(2000, 1, 3, tzinfo=UTC)
_LATEST_DRAWN = ACCEPTED_AT - timedelta(days=2)


class Written(NamedTuple):
    """A value as it is written: in JSON as a number literal or in quotes, in CSV as it stands."""

    text: str
    is_number: bool = False


WrittenRecord = Mapping[str, Written]


def as_json(record: WrittenRecord, **more: str) -> bytes:
    """The record as a JSON client writes it; `more` are further members as JSON text."""
    members = {
        name: value.text if value.is_number else json.dumps(value.text) for name, value in record.items()
    }
    return (
        "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in {**members, **more}.items()) + "}"
    ).encode()


def as_cells(record: WrittenRecord) -> dict[str, str]:
    """The record as a row of a CSV file."""
    return {name: value.text for name, value in record.items()}


def ids(max_value: int = MAX_ID) -> st.SearchStrategy[Written]:
    return st.integers(1, max_value).map(lambda number: Written(str(number), is_number=True))


def quantities() -> st.SearchStrategy[Written]:
    return st.integers(0, MAX_ID).map(lambda number: Written(str(number), is_number=True))


def texts() -> st.SearchStrategy[Written]:
    alphabet = st.characters(exclude_categories=("Cc", "Cs"))
    return st.text(alphabet, min_size=1, max_size=40).map(Written) | st.just(Written("x" * MAX_TEXT_CHARS))


def emails() -> st.SearchStrategy[Written]:
    label = st.text(st.sampled_from("abcZ09-_äß"), min_size=1, max_size=12)
    return st.builds(lambda *parts: Written("{}@{}.{}".format(*parts)), label, label, label)


@st.composite
def amounts(draw: st.DrawFn) -> Written:
    """Any amount in any of its spellings, as a number or as a text."""
    whole, cents = divmod(draw(st.integers(0, MAX_CENTS)), 100)
    spellings = [f"{whole}.{cents:02}"]
    if cents % 10 == 0:
        spellings.append(f"{whole}.{cents // 10}")
    if cents == 0:
        spellings.append(str(whole))
    return Written(draw(st.sampled_from(spellings)), draw(st.booleans()))


@st.composite
def times(draw: st.DrawFn) -> Written:
    """Any moment that every zone accepts, in any of its spellings."""
    moment = draw(st.datetimes(_EARLIEST_DRAWN.replace(tzinfo=None), _LATEST_DRAWN.replace(tzinfo=None)))
    if draw(st.integers(0, 4)) == 0:
        return Written(moment.date().isoformat())
    timespec = draw(st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]))
    hours, minutes = draw(st.tuples(st.integers(0, 23), st.integers(0, 59)))
    offset = draw(st.sampled_from(["", "Z", f"+{hours:02}:{minutes:02}", f"-{hours:02}:{minutes:02}"]))
    return Written(moment.isoformat(draw(st.sampled_from(["T", " "])), timespec) + offset)


def choices(*values: str) -> st.SearchStrategy[Written]:
    return st.sampled_from([Written(value) for value in values])


_REQUIRED: Final[dict[Entity, dict[str, st.SearchStrategy[Written]]]] = {
    Entity.USER: {"user_id": ids(), "name": texts(), "email": emails(), "signup_date": times()},
    Entity.PRODUCT: {"product_id": ids(), "product_name": texts(), "category": texts(), "price": amounts()},
    Entity.ORDER: {
        "order_id": ids(),
        "user_id": ids(),
        "order_date": times(),
        "status": choices(*ORDER_STATUSES),
        "total_amount": amounts(),
    },
    Entity.ORDER_ITEM: {
        "order_item_id": ids(),
        "order_id": ids(),
        "product_id": ids(),
        "quantity": quantities(),
        "unit_price": amounts(),
    },
    Entity.EVENT: {"user_id": ids(), "event_type": choices(*EVENT_TYPES), "event_timestamp": times()},
}
_OPTIONAL: Final[dict[Entity, dict[str, st.SearchStrategy[Written]]]] = {
    entity: {"updated_at": times()} for entity in Entity
}
_OPTIONAL[Entity.EVENT] = {
    "event_id": texts() | st.uuids().map(lambda u: Written(str(u))),
    "product_id": ids(),
    "updated_at": times(),
}


def written_records(entity: Entity) -> st.SearchStrategy[WrittenRecord]:
    """Valid records without nested items; their fields come in declared order or the other way round."""
    record = st.fixed_dictionaries(_REQUIRED[entity], optional=_OPTIONAL[entity])
    return record | record.map(lambda drawn: dict(reversed(drawn.items())))


@st.composite
def items(draw: st.DrawFn, entity: Entity) -> dict[str, Any]:
    """Valid items as `parse_json` gives them; an order has items now and then."""
    item: dict[str, Any] = parse_json(as_json(draw(written_records(entity))))
    if entity is Entity.ORDER and draw(st.booleans()):
        item["items"] = draw(_inner_items(item["order_id"]))
    return item


@st.composite
def _inner_items(draw: st.DrawFn, order_id: int) -> list[dict[str, Any]]:
    rows = draw(st.lists(items(Entity.ORDER_ITEM), max_size=5, unique_by=lambda row: row["order_item_id"]))
    for row in rows:
        row.pop("updated_at", None)
        if draw(st.booleans()):
            row["order_id"] = order_id
        else:
            del row["order_id"]
    return rows


def contents(entity: Entity, rules: Rules = RULES) -> st.SearchStrategy[dict[str, Any]]:
    """Checked content."""
    return items(entity).map(lambda item: _checked(entity, item, rules))


def _checked(entity: Entity, item: dict[str, Any], rules: Rules) -> dict[str, Any]:
    content = check(entity, item, rules)
    assert not isinstance(content, Refusal), content
    return content


def json_values() -> st.SearchStrategy[Any]:
    """Anything that JSON can say, also what no client should."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(), max_size=8)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
        max_leaves=12,
    )
