"""What was checked and written is read and checked again without a difference."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Refusal
from tillstream.contracts.parsing import parse_json
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import (
    FIELDS,
    HASH_BYTES,
    MAX_VALUE_BYTES,
    check,
    content_hash,
    from_json,
    key_of,
    to_json,
    too_large,
)
from tillstream.contracts.rules import Rules
from tillstream.errors import ContractViolation
from tillstream.testing.builders import ACCEPTED_AT, RULES, event_item, inner_item, order_item, user_item
from tillstream.testing.strategies import QUICK, contents

pytestmark = pytest.mark.unit

ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]).map(ZoneInfo)


def accepted(entity: Entity, item: object, rules: Rules = RULES) -> dict[str, object]:
    content = check(entity, item, rules)
    assert not isinstance(content, Refusal), content
    return content


@pytest.mark.parametrize("entity", Entity)
@QUICK
@given(data=st.data(), zone=ZONES)
def test_content_survives_the_road(entity: Entity, data: st.DataObject, zone: ZoneInfo) -> None:
    content = data.draw(contents(entity, Rules(ACCEPTED_AT, zone)))
    value = to_json(entity, content)
    again = accepted(entity, parse_json(value))
    assert again == content
    assert list(again) == list(content)
    assert to_json(entity, again) == value
    assert from_json(entity, value) == content
    assert content_hash(entity, again) == content_hash(entity, content)


@QUICK
@given(entity=st.sampled_from(Entity), data=st.data())
def test_json_and_hash_do_not_depend_on_the_order_of_fields(entity: Entity, data: st.DataObject) -> None:
    content = data.draw(contents(entity))
    shuffled = dict(data.draw(st.permutations(list(content.items()))))
    assert to_json(entity, shuffled) == to_json(entity, content)
    assert content_hash(entity, shuffled) == content_hash(entity, content)


@QUICK
@given(entity=st.sampled_from(Entity), data=st.data())
def test_hash_changes_with_every_field_but_an_events_id_and_update(
    entity: Entity, data: st.DataObject
) -> None:
    first, second = data.draw(contents(entity)), data.draw(contents(entity))
    unhashed = {"event_id", "updated_at"} if entity is Entity.EVENT else set()
    bare = [{name: value for name, value in each.items() if name not in unhashed} for each in (first, second)]
    assert (content_hash(entity, first) == content_hash(entity, second)) == (bare[0] == bare[1])


def test_spellings_of_one_content_are_one_content() -> None:
    spelled = [
        order_item(
            order_date="2024-01-20T10:30:00Z", total_amount="1.50", items=[inner_item(unit_price="2")]
        ),
        order_item(order_date="2024-01-20 10:30", total_amount="1.5", items=[inner_item(unit_price="2.0")]),
        order_item(
            order_date="2024-01-20T16:15:00.000+05:45", total_amount="1.50", items=[inner_item(unit_price=2)]
        ),
    ]
    contents_of = [accepted(Entity.ORDER, item) for item in spelled]
    assert contents_of[1:] == contents_of[:-1]
    assert len({content_hash(Entity.ORDER, content) for content in contents_of}) == 1


def test_canonical_json_is_this() -> None:
    content = accepted(
        Entity.ORDER,
        order_item(
            total_amount="39.8", updated_at="2024-01-21T00:00:00.5+01:00", items=[inner_item(order_id=1)]
        ),
    )
    assert to_json(Entity.ORDER, content) == (
        b'{"order_id":1,"user_id":1,"order_date":"2024-01-20T10:30:00Z","status":"paid","total_amount":39.80,'
        b'"items":[{"order_item_id":1,"product_id":1,"quantity":2,"unit_price":19.90}],'
        b'"updated_at":"2024-01-20T23:00:00.500000Z"}'
    )


def test_amounts_are_exact_with_two_places() -> None:
    content = accepted(
        Entity.PRODUCT, parse_json(b'{"product_id":1,"product_name":"a","category":"b","price":0.1}')
    )
    assert content["price"] == Decimal("0.10")
    assert str(content["price"]) == "0.10"


def test_negative_zero_is_zero() -> None:
    content = accepted(Entity.ORDER, order_item(total_amount="-0.00"))
    assert str(content["total_amount"]) == "0.00"


def test_hash_has_a_fixed_length() -> None:
    assert len(content_hash(Entity.USER, accepted(Entity.USER, user_item()))) == HASH_BYTES


@pytest.mark.parametrize(
    ("entity", "key"),
    [
        (Entity.USER, 11),
        (Entity.PRODUCT, 12),
        (Entity.ORDER, 13),
        (Entity.ORDER_ITEM, 14),
        (Entity.EVENT, 11),
    ],
)
def test_key_is_the_id_that_must_stay_in_order(entity: Entity, key: int) -> None:
    every_id = {"user_id": 11, "product_id": 12, "order_id": 13, "order_item_id": 14}
    assert key_of(entity, {name: every_id[name] for name in FIELDS[entity] if name in every_id}) == key


def test_stored_content_that_breaks_its_contract_is_told() -> None:
    with pytest.raises(ContractViolation, match="user_id must be a whole number"):
        from_json(
            Entity.USER, b'{"user_id":0,"name":"a","email":"a@b.c","signup_date":"2024-01-05T00:00:00Z"}'
        )


def test_value_that_leaves_no_room_for_headers_is_too_large() -> None:
    assert too_large(b"x" * MAX_VALUE_BYTES) is None
    refusal = too_large(b"x" * (MAX_VALUE_BYTES + 1))
    assert refusal is not None
    assert refusal.reason is Reason.RECORD_TOO_LARGE


def test_every_order_that_the_contract_accepts_fits_a_record() -> None:
    widest = inner_item(product_id=2**63 - 1, quantity=2**63 - 1, unit_price="9999999999.99")
    items = [{**widest, "order_item_id": 2**63 - number} for number in range(1, 1001)]
    assert too_large(to_json(Entity.ORDER, accepted(Entity.ORDER, order_item(items=items)))) is None


def test_event_id_stays_as_it_was_given() -> None:
    upper = "0190163D-8694-7394-8A1C-1D2D3B2C5A11"
    assert accepted(Entity.EVENT, event_item(event_id=upper))["event_id"] == upper
