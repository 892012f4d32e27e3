"""HTTP, Kafka and CSV give the same content and hash, or the same refusal, for the same record as a client writes it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from tillstream.contracts.csv_rows import csv_columns, row_message
from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import headers_for, read_record
from tillstream.contracts.messages import Message, Refusal
from tillstream.contracts.parsing import parse_json
from tillstream.contracts.records import FIELDS, check, content_hash, to_json
from tillstream.testing.builders import ACCEPTED_AT, BUILD, MESSAGE_ID, RULES, UTC_ZONE, FakeRecord, file_job
from tillstream.testing.strategies import QUICK, Written, WrittenRecord, as_cells, as_json, written_records

pytestmark = pytest.mark.unit

# What the doors must agree on: content and its hash, or the refusal.
Verdict = tuple[dict[str, Any], bytes] | Refusal
Door = Callable[[Entity, WrittenRecord], Verdict]


def over_http(entity: Entity, record: WrittenRecord) -> Verdict:
    checked = check(entity, parse_json(as_json(record)), RULES)
    return checked if isinstance(checked, Refusal) else (checked, content_hash(entity, checked))


def over_kafka(entity: Entity, record: WrittenRecord) -> Verdict:
    headers = headers_for(
        message_id=MESSAGE_ID, entity=entity, source="shop", accepted_at=ACCEPTED_AT, position=0
    )
    return verdict(read_record(FakeRecord(as_json(record), headers), entity, UTC_ZONE))


def over_csv(entity: Entity, record: WrittenRecord) -> Verdict:
    cells = as_cells(record)
    return verdict(row_message(entity, cells, payload=b"", job=file_job(), line=2, shop_timezone=UTC_ZONE))


def verdict(message: Message) -> Verdict:
    if message.refusal is not None:
        return message.refusal
    assert message.content is not None
    return message.content, message.content_hash


DOORS: tuple[Door, ...] = (over_http, over_kafka, over_csv)

NUMBERS = [
    "0", "-0", "-1", "1.0", "-5.5", "1e3", "1E+2", "9223372036854775807", "9223372036854775808", "1" * 30, "-" + "9" * 30,
    "1.005", "0.30000000000000001", "10000000000", "9999999999.99", "-0.00", "-0.01", "1728988200", "1" * 4400,
]  # fmt: skip
# What no JSON number looks like, so that a CSV reader must not take it for one either.
NOT_NUMBERS = [
    " 1", "1 ", "+1", "01", "-01", "1_000", "1,50", "1.", ".5", "0x10", "٣", "NaN", "Infinity", "true", "null", "[]", "1\n",
    "'1", "１",
]  # fmt: skip
TEXTS = [
    "a\x00b", "\x85", "x" * 321, "x" * 320, "\ud800", "größe", "paid", "Paid", "refunded", "purchase", "a@b", "a@b.c", "a b@c.d",
]  # fmt: skip
TIMES = [
    "2024-01-05", "2024-02-30", "1999-12-31", "2024-06-02T12:00:00Z", "2024-06-02T12:00:00.000001Z", "2024-06-01T12:05:00.000001",
    "2024-01-05T24:00", "2024-01-05T10:30:60", "2024-01-05t10:30", "2024-01-05T10:30:00.1234567", "10000-01-01T00:00:00Z",
]  # fmt: skip
NUMERIC = frozenset(
    ["user_id", "product_id", "order_id", "order_item_id", "quantity", "price", "total_amount", "unit_price"]
)
STRANGERS = ["colour", "Größe", "a\x00", "email", "items_count"]
WORDS = [*NOT_NUMBERS, *TEXTS, *TIMES]


def columns(entity: Entity) -> list[str]:
    required, optional = csv_columns(entity)
    return [*required, *optional]


@st.composite
def mutations(draw: st.DrawFn, entity: Entity) -> tuple[str, Written | None]:
    """A field and what stands in it instead; None takes it away. Only what CSV can write as well as JSON."""
    if draw(st.integers(0, 7)) == 0:
        return draw(st.sampled_from(STRANGERS)), Written("x")
    name = draw(st.sampled_from(columns(entity)))
    if draw(st.integers(0, 7)) == 0:
        return name, None
    if name in NUMERIC and draw(st.integers(0, 3)):
        return name, Written(draw(st.sampled_from(NUMBERS)), is_number=True)
    return name, Written(draw(st.sampled_from(WORDS)))


@st.composite
def records(draw: st.DrawFn) -> tuple[Entity, WrittenRecord]:
    """Valid records, and such with up to three faults."""
    entity = draw(st.sampled_from(Entity))
    record = dict(draw(written_records(entity)))
    for name, value in draw(st.lists(mutations(entity), max_size=3)):
        if value is None:
            record.pop(name, None)
        else:
            record[name] = value
    return entity, record


def valid_record(entity: Entity) -> WrittenRecord:
    """One valid record with every column."""
    item = BUILD[entity](updated_at="2024-01-20T10:30:00Z")
    return {name: Written(str(item[name]), type(item[name]) is int) for name in columns(entity)}


def traps(entity: Entity) -> Iterator[WrittenRecord]:
    """Every known trap in every field, and every pair of fields with a fault in each, columns in both orders."""
    valid = valid_record(entity)
    for name in valid:
        for word in WORDS:
            yield {**valid, name: Written(word)}
        for number in NUMBERS if name in NUMERIC else ():
            yield {**valid, name: Written(number, is_number=True)}
    for one, other in combinations([*valid, *STRANGERS], 2):
        broken = {**valid, one: Written("\x00"), other: Written("\x00")}
        yield broken
        yield dict(reversed(broken.items()))


def verdicts(drawn: tuple[Entity, WrittenRecord], doors: Sequence[Door] = DOORS) -> list[Verdict]:
    return [door(*drawn) for door in doors]


def disagree(drawn: tuple[Entity, WrittenRecord], doors: Sequence[Door] = DOORS) -> bool:
    first, *others = verdicts(drawn, doors)
    return any(other != first for other in others)


@QUICK
@given(drawn=records())
def test_three_doors_agree(drawn: tuple[Entity, WrittenRecord]) -> None:
    first, *others = verdicts(drawn)
    assert others == [first, first]


@pytest.mark.parametrize("entity", Entity)
@QUICK
@given(data=st.data())
def test_valid_record_is_accepted_at_every_door(entity: Entity, data: st.DataObject) -> None:
    record = data.draw(written_records(entity))
    assert [each for each in verdicts((entity, record)) if isinstance(each, Refusal)] == []


@pytest.mark.parametrize("entity", Entity)
def test_doors_agree_on_every_known_trap(entity: Entity) -> None:
    assert [record for record in traps(entity) if disagree((entity, record))] == []


@pytest.mark.parametrize("entity", Entity)
def test_empty_cell_means_what_null_and_absence_mean(entity: Entity) -> None:
    valid = valid_record(entity)
    required, _ = csv_columns(entity)
    for name in valid:
        absent = {other: value for other, value in valid.items() if other != name}
        null = {**valid, name: Written("null", is_number=True)}
        empty = {**valid, name: Written("")}
        results = [
            over_http(entity, absent),
            over_http(entity, null),
            over_kafka(entity, null),
            over_csv(entity, empty),
        ]
        assert results[1:] == results[:-1]
        assert isinstance(results[0], Refusal) == (name in required)


def test_record_that_crossed_kafka_is_the_one_the_door_checked() -> None:
    entity, record = Entity.ORDER, valid_record(Entity.ORDER)
    at_the_door = over_http(entity, record)
    assert not isinstance(at_the_door, Refusal)
    headers = headers_for(
        message_id=MESSAGE_ID, entity=entity, source="shop", accepted_at=ACCEPTED_AT, position=0
    )
    crossed = read_record(FakeRecord(to_json(entity, at_the_door[0]), headers), entity, UTC_ZONE)
    assert verdict(crossed) == at_the_door


def careless_numbers(entity: Entity, record: WrittenRecord) -> Verdict:
    """A CSV door that reads numbers as Python does: blanks, underscores and other digits pass."""
    mended = {
        name: Written(str(int(value.text))) if _python_reads(value.text) else value
        for name, value in record.items()
    }
    return over_csv(entity, mended)


def _python_reads(text: str) -> bool:
    try:
        int(text[:4000])
    except ValueError:
        return False
    return not text.isascii() or text.strip() != text or "_" in text


def careless_order(entity: Entity, record: WrittenRecord) -> Verdict:
    """A CSV door that tells the first fault in the order of the columns."""
    for name, value in record.items():
        alone = over_csv(entity, {**valid_record(entity), name: value})
        if isinstance(alone, Refusal):
            return alone
    return over_csv(entity, record)


def careless_about_strangers(entity: Entity, record: WrittenRecord) -> Verdict:
    """An HTTP door that passes over unknown fields."""
    return over_http(entity, {name: value for name, value in record.items() if name in FIELDS[entity]})


def careless_amounts(entity: Entity, record: WrittenRecord) -> Verdict:
    """A door that lets numbers be floats and rounds them to cents."""
    rounded = {
        name: Written(f"{float(value.text):.2f}", is_number=True)
        if value.is_number and "." in value.text
        else value
        for name, value in record.items()
    }
    return over_http(entity, rounded)


@pytest.mark.parametrize(
    "planted", [careless_numbers, careless_order, careless_about_strangers, careless_amounts]
)
def test_planted_bug_in_one_door_is_found_by_the_known_traps(planted: Door) -> None:
    doors = (over_http, planted)
    assert any(disagree((entity, record), doors) for entity in Entity for record in traps(entity))


@pytest.mark.parametrize("planted", [careless_numbers, careless_order, careless_about_strangers])
def test_planted_bug_in_one_door_is_found_by_generated_records(planted: Door) -> None:
    search = settings(
        max_examples=3_000, deadline=None, derandomize=True, database=None, phases=[Phase.generate]
    )
    found = find(records(), lambda drawn: disagree(drawn, (over_http, planted)), settings=search)
    assert not disagree(found)
