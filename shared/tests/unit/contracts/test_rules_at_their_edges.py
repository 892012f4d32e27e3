"""Every rule is refused at its edge and accepted just inside, with one reason and a sentence that names the field."""

from datetime import timedelta
from typing import Any

import pytest

from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Refusal
from tillstream.contracts.parsing import NumberLexeme
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import check
from tillstream.contracts.rules import MAX_ID, MAX_TEXT_CHARS
from tillstream.testing.builders import ACCEPTED_AT, BUILD, RULES, inner_item, order_item, without

pytestmark = pytest.mark.unit

DAY_AHEAD = ACCEPTED_AT + timedelta(hours=24)
MICROSECOND = timedelta(microseconds=1)
NOT_TEXTS = [
    "", "x" * (MAX_TEXT_CHARS + 1), "a\x00b", "\x1f", "\x7f", "\x80", "\x9f", "line\n", "\ttab", "\ud800", "a\udfffb",
    1, True, [], {}, NumberLexeme("1.5"),
]  # fmt: skip
TEXTS = [
    "x",
    " ",
    "x" * MAX_TEXT_CHARS,
    "\U0001f9ff" * MAX_TEXT_CHARS,
    "\x20",
    "\x7e",
    "\xa0",
    "Зоя 👩‍👩‍👧",
    "\u2028",
    "NULL",
]
NOT_IDS = [0, -1, MAX_ID + 1, 10**40, "1", "", True, False, NumberLexeme("1.0"), NumberLexeme("1e3"), [1], {}]
IDS = [1, 2, MAX_ID]
NOT_AMOUNTS = [
    "", "1.", ".5", "01", "00", "1.005", "1e2", "1E2", "+1", " 1", "1 ", "1_0", "1,50", "NaN", "Infinity", "0x1", "٣", "1\n",
    "10000000000", 10**10, 10**4000, -(10**10), "-10000000000", True, [], {},
    NumberLexeme("0.30000000000000001"), NumberLexeme("1e2"), NumberLexeme("1.0e0"), NumberLexeme("1" * 5_000),
]  # fmt: skip
AMOUNTS = [
    "0",
    "0.0",
    "0.00",
    "-0.00",
    0,
    1,
    "9999999999.99",
    NumberLexeme("9999999999.99"),
    10**10 - 1,
    "12.5",
    NumberLexeme("0.1"),
]
BELOW_ZERO = ["-0.01", "-1", -1, NumberLexeme("-0.5"), "-9999999999.99"]
NOT_TIMES = [
    "", "2024", "2024-01", "2024-1-05", "20240105", "24-01-05", "2024-W01-1", "2024-005", "2024-02-30", "2023-02-29",
    "2024-13-01", "2024-00-10", "2024-01-00", "2024-01-05T", "2024-01-05T10", "2024-01-05T10:3", "2024-01-05T24:00",
    "2024-01-05T10:60", "2024-01-05T10:30:60", "2024-01-05T10:30:00.", "2024-01-05T10:30:00.1234567",
    "2024-01-05T10:30:00,5", "2024-01-05t10:30:00", "2024-01-05T10:30:00z", "2024-01-05T10:30:00 Z",
    "2024-01-05T10:30:00+0100", "2024-01-05T10:30:00+01", "2024-01-05T10:30:00+24:00", "2024-01-05T10:30:00+01:60",
    "2024-01-05T10:30:00+01:00:00", "2024-01-05Z", "2024-01-05+01:00", "2024-01-05  10:30", " 2024-01-05", "2024-01-05\n",
    "٢٠٢٤-01-05", "+2024-01-05", "12024-01-05", "10000-01-01T00:00:00Z", "0000-01-01", "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00+23:59", "now", "1728988200", 1728988200, NumberLexeme("1728988200.5"), True, [], {},
    "1999-12-31", "1999-12-31T23:59:59.999999Z", "2000-01-01T00:00:00+00:01",
    (DAY_AHEAD + MICROSECOND).isoformat(),
]  # fmt: skip
TIMES = [
    "2000-01-01", "2000-01-01T00:00:00Z", "2000-01-01T00:00:00-00:01", "2024-02-29", "2024-01-05T10:30", "2024-01-05 10:30",
    "2024-01-05T10:30Z", "2024-01-05T10:30:59", "2024-01-05T23:59:59.9", "2024-01-05 10:30:00.123456+05:45",
    "2024-01-05T00:00:00-23:59", "2024-01-05T00:00:00-00:00", DAY_AHEAD.isoformat(), "2024-06-02T17:45:00+05:45",
]  # fmt: skip
AFTER_FIVE_MINUTES = (ACCEPTED_AT + timedelta(minutes=5)).isoformat()
NOT_EMAILS = [
    *NOT_TEXTS, "ann", "ann@", "@example.org", "ann@example", "ann@.org", "ann@.example.org", "ann@example.", "ann@a.b.",
    "ann@@example.org", "ann@ex@ample.org", "an n@example.org", "ann@exam ple.org", " ann@example.org", "ann@example.org ",
    "ann@example.org\n", "ann\u00a0@example.org", "ann.example.org", f"{'x' * (MAX_TEXT_CHARS - 3)}@a.b",
]  # fmt: skip
EMAILS = [
    "a@b.c",
    "ANN@EXAMPLE.ORG",
    ".@a..b",
    "änn@exämple.org",
    "a.b+c@d.e.f",
    f"{'x' * (MAX_TEXT_CHARS - 4)}@a.b",
]

Case = tuple[Entity, str, list[Any], list[tuple[Reason, list[Any]]]]
ID_REFUSALS = [(Reason.INVALID_ID, NOT_IDS)]
TEXT_REFUSALS = [(Reason.INVALID_TEXT, NOT_TEXTS)]
AMOUNT_REFUSALS = [(Reason.INVALID_AMOUNT, NOT_AMOUNTS), (Reason.NEGATIVE_AMOUNT, BELOW_ZERO)]
TIME_REFUSALS = [(Reason.INVALID_TIMESTAMP, NOT_TIMES)]
UPDATE_REFUSALS = [
    (Reason.INVALID_TIMESTAMP, [*NOT_TIMES, (ACCEPTED_AT + timedelta(minutes=5) + MICROSECOND).isoformat()])
]
QUANTITY_REFUSALS: list[tuple[Reason, list[Any]]] = [
    (
        Reason.INVALID_NUMBER,
        [MAX_ID + 1, "1", True, False, NumberLexeme("1.0"), NumberLexeme("-1.5"), [], {}],
    ),
    (Reason.NEGATIVE_AMOUNT, [-1, -(2**63), -(10**30)]),
]
NOT_CHOICES = [
    "",
    "Paid",
    "PAID",
    " paid",
    "paid ",
    "refunded",
    "Purchase",
    "click",
    0,
    True,
    [],
    {},
    NumberLexeme("1.5"),
    "\ud800",
]
CASES: list[Case] = [
    (Entity.USER, "user_id", IDS, ID_REFUSALS),
    (Entity.USER, "name", TEXTS, TEXT_REFUSALS),
    (Entity.USER, "email", EMAILS, [(Reason.INVALID_EMAIL, NOT_EMAILS)]),
    (Entity.USER, "signup_date", TIMES, TIME_REFUSALS),
    (Entity.PRODUCT, "product_id", IDS, ID_REFUSALS),
    (Entity.PRODUCT, "product_name", TEXTS, TEXT_REFUSALS),
    (Entity.PRODUCT, "category", TEXTS, TEXT_REFUSALS),
    (Entity.PRODUCT, "price", AMOUNTS, AMOUNT_REFUSALS),
    (Entity.ORDER, "order_id", IDS, ID_REFUSALS),
    (Entity.ORDER, "user_id", IDS, ID_REFUSALS),
    (Entity.ORDER, "order_date", TIMES, TIME_REFUSALS),
    (
        Entity.ORDER,
        "status",
        ["pending", "paid", "cancelled", "shipped"],
        [(Reason.INVALID_STATUS, NOT_CHOICES)],
    ),
    (Entity.ORDER, "total_amount", AMOUNTS, AMOUNT_REFUSALS),
    (Entity.ORDER_ITEM, "order_item_id", IDS, ID_REFUSALS),
    (Entity.ORDER_ITEM, "order_id", IDS, ID_REFUSALS),
    (Entity.ORDER_ITEM, "product_id", IDS, ID_REFUSALS),
    (Entity.ORDER_ITEM, "quantity", [0, 1, MAX_ID], QUANTITY_REFUSALS),
    (Entity.ORDER_ITEM, "unit_price", AMOUNTS, AMOUNT_REFUSALS),
    (Entity.EVENT, "event_id", [*TEXTS, "17"], [(Reason.INVALID_ID, NOT_TEXTS)]),
    (Entity.EVENT, "user_id", IDS, ID_REFUSALS),
    (
        Entity.EVENT,
        "event_type",
        ["page_view", "add_to_cart", "purchase"],
        [(Reason.INVALID_EVENT_TYPE, NOT_CHOICES)],
    ),
    (Entity.EVENT, "product_id", IDS, ID_REFUSALS),
    (Entity.EVENT, "event_timestamp", TIMES, TIME_REFUSALS),
    *((entity, "updated_at", ["2000-01-01", AFTER_FIVE_MINUTES], UPDATE_REFUSALS) for entity in Entity),
]
REFUSED = [(entity, field, reason, outside) for entity, field, _, cases in CASES for reason, outside in cases]


@pytest.mark.parametrize(("entity", "field", "values", "_"), CASES)
def test_value_just_inside_a_rule_is_accepted(
    entity: Entity, field: str, values: list[Any], _: object
) -> None:
    results = [check(entity, BUILD[entity](**{field: value}), RULES) for value in values]
    assert [result for result in results if isinstance(result, Refusal)] == []
    assert all(field in result for result in results if isinstance(result, dict))


@pytest.mark.parametrize(("entity", "field", "reason", "values"), REFUSED)
def test_value_outside_a_rule_is_refused_by_its_reason(
    entity: Entity, field: str, reason: Reason, values: list[Any]
) -> None:
    results = [(value, check(entity, BUILD[entity](**{field: value}), RULES)) for value in values]
    assert [value for value, result in results if not isinstance(result, Refusal)] == []
    refusals = [result for _, result in results if isinstance(result, Refusal)]
    assert {(refusal.reason, refusal.field) for refusal in refusals} == {(reason, field)}
    assert all(refusal.message.startswith(f"{field} must ") for refusal in refusals)


def test_every_field_of_every_entity_has_its_edges_tested() -> None:
    tested = {(entity, field) for entity, field, _, _ in CASES}
    declared = {(entity, name) for entity in Entity for name in contract_field_names(entity)}
    assert declared - tested == {(Entity.ORDER, "items")}


def contract_field_names(entity: Entity) -> list[str]:
    content = check(entity, BUILD[entity](updated_at="2024-01-01", **order_extra(entity)), RULES)
    assert isinstance(content, dict)
    return list(content)


def order_extra(entity: Entity) -> dict[str, Any]:
    return {"items": []} if entity is Entity.ORDER else {}


REQUIRED = [
    (entity, field)
    for entity, field, _, _ in CASES
    if field != "updated_at"
    and (entity, field) not in {(Entity.EVENT, "event_id"), (Entity.EVENT, "product_id")}
]
OPTIONAL = [(entity, field) for entity, field, _, _ in CASES if (entity, field) not in REQUIRED]


@pytest.mark.parametrize(("entity", "field"), REQUIRED)
def test_required_field_that_is_absent_or_null_is_missing(entity: Entity, field: str) -> None:
    for item in (without(BUILD[entity](), field), BUILD[entity](**{field: None})):
        assert check(entity, item, RULES) == Refusal(Reason.MISSING_FIELD, f"{field} is required.", field)


@pytest.mark.parametrize(("entity", "field"), [*OPTIONAL, (Entity.ORDER, "items")])
def test_optional_field_that_is_null_is_absent(entity: Entity, field: str) -> None:
    absent = check(entity, without(BUILD[entity](), field), RULES)
    assert isinstance(absent, dict)
    assert check(entity, BUILD[entity](**{field: None}), RULES) == absent
    assert field not in absent


@pytest.mark.parametrize("entity", Entity)
@pytest.mark.parametrize("value", [1, None, "", {}])
def test_unknown_field_is_refused_whatever_it_holds(entity: Entity, value: object) -> None:
    refusal = check(entity, BUILD[entity](colour=value), RULES)
    assert refusal == Refusal(Reason.UNKNOWN_FIELD, "colour is not a field of this record.", "colour")


@pytest.mark.parametrize("item", [None, 1, True, "x", [], [{}], NumberLexeme("1.5")])
def test_what_is_no_object_is_no_record(item: object) -> None:
    refusal = check(Entity.EVENT, item, RULES)
    assert refusal == Refusal(Reason.INVALID_RECORD, "The record must be a JSON object.")


ITEM_REFUSALS: list[tuple[list[Any], Reason, str]] = [
    ([inner_item(), inner_item(order_item_id=0)], Reason.INVALID_ID, "items[1].order_item_id"),
    ([inner_item(product_id=None)], Reason.MISSING_FIELD, "items[0].product_id"),
    ([inner_item(order_item_id=9), *(inner_item(order_item_id=n, quantity=-(n == 3)) for n in (1, 2, 3))],
     Reason.NEGATIVE_AMOUNT, "items[3].quantity"),
    ([inner_item(unit_price="1.005")], Reason.INVALID_AMOUNT, "items[0].unit_price"),
    ([inner_item(colour=1)], Reason.UNKNOWN_FIELD, "items[0].colour"),
    ([inner_item(updated_at="2024-01-01")], Reason.UNKNOWN_FIELD, "items[0].updated_at"),
    ([inner_item(), inner_item()], Reason.INVALID_ITEMS, "items[1].order_item_id"),
    ([inner_item(order_id=2)], Reason.INVALID_ITEMS, "items[0].order_id"),
    ([inner_item(order_id="1")], Reason.INVALID_ID, "items[0].order_id"),
    ([inner_item(), 1], Reason.INVALID_ITEMS, "items[1]"),
    ([None], Reason.INVALID_ITEMS, "items[0]"),
    ([inner_item(order_item_id=n) for n in range(1, 1002)], Reason.INVALID_ITEMS, "items"),
]  # fmt: skip


@pytest.mark.parametrize(("items", "reason", "field"), ITEM_REFUSALS)
def test_fault_of_an_item_is_told_with_its_place(items: list[Any], reason: Reason, field: str) -> None:
    refusal = check(Entity.ORDER, order_item(items=items), RULES)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.field) == (reason, field)
    assert refusal.message.startswith(f"{field} ")


@pytest.mark.parametrize("items", ["", "[]", 1, {}, True])
def test_items_that_are_no_list_are_refused(items: object) -> None:
    refusal = check(Entity.ORDER, order_item(items=items), RULES)
    assert refusal == Refusal(Reason.INVALID_ITEMS, "items must be a list.", "items")


def test_items_are_one_set_whatever_their_order_and_whether_they_name_their_order() -> None:
    plain = [inner_item(order_item_id=n) for n in (1, 2, 3)]
    shuffled = [
        inner_item(order_item_id=3, order_id=1),
        inner_item(order_item_id=1),
        inner_item(order_item_id=2, order_id=None),
    ]
    content = check(Entity.ORDER, order_item(items=plain), RULES)
    assert isinstance(content, dict)
    assert check(Entity.ORDER, order_item(items=shuffled), RULES) == content
    assert [item["order_item_id"] for item in content["items"]] == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_order_may_have_up_to_a_thousand_items(count: int) -> None:
    items = [inner_item(order_item_id=n) for n in range(1, count + 1)]
    content = check(Entity.ORDER, order_item(items=items), RULES)
    assert isinstance(content, dict)
    assert len(content["items"]) == count


def test_of_several_faults_the_first_declared_one_is_told_whatever_the_order_of_arrival() -> None:
    bad = {
        "zebra": 1,
        "updated_at": "never",
        "items": [{}],
        "status": "?",
        "order_date": "?",
        "apple": 1,
        "user_id": 0,
    }
    item = {**without(order_item(), *bad), **bad}
    for order in (list(item), list(reversed(item))):
        arranged = {name: item[name] for name in order}
        told = []
        for mended in ("user_id", "order_date", "status", "items", "updated_at"):
            refusal = check(Entity.ORDER, arranged, RULES)
            assert isinstance(refusal, Refusal)
            told.append(refusal.field)
            arranged[mended] = order_item(items=[], updated_at="2024-01-01")[mended]
        refusal = check(Entity.ORDER, arranged, RULES)
        assert isinstance(refusal, Refusal)
        assert [*told, refusal.field] == [
            "user_id",
            "order_date",
            "status",
            "items[0].order_item_id",
            "updated_at",
            "apple",
        ]


@pytest.mark.parametrize(
    ("name", "shown_as"),
    [
        ("a\x00b", "a\\u0000b"),
        ("\ud800", "\\ud800"),
        ("", '""'),
        ("x" * 65, "x" * 64 + "…"),
        ("größe", "größe"),
        ("\u202eevil", "\\u202eevil"),
    ],
)
def test_name_of_an_unknown_field_is_made_fit_to_show(name: str, shown_as: str) -> None:
    refusal = check(Entity.USER, BUILD[Entity.USER](**{name: 1}), RULES)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.field) == (Reason.UNKNOWN_FIELD, shown_as)


def test_deep_nesting_is_malformed_at_a_fixed_depth() -> None:
    deep: object = 1
    for _ in range(31):
        deep = [deep]
    refusal = check(Entity.USER, {"user_id": deep}, RULES)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.INVALID_ID
    refusal = check(Entity.USER, {"user_id": [deep]}, RULES)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.MALFORMED_JSON


def test_thousands_of_unknown_fields_are_refused_as_one() -> None:
    item = BUILD[Entity.USER](**{f"n{number:05}": 1 for number in range(50_000, 0, -1)})
    assert check(Entity.USER, item, RULES) == Refusal(
        Reason.UNKNOWN_FIELD, "n00001 is not a field of this record.", "n00001"
    )
