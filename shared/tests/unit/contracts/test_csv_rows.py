"""A row of a CSV file is the item that a JSON client would have sent, and a message of its job."""

from datetime import UTC, datetime

import pytest

from tillstream.contracts.csv_rows import csv_columns, from_csv, refused_row, row_message
from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import resolve_event_id, row_event_id, row_message_id
from tillstream.contracts.messages import Message, Origin, Refusal, pack_version
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import payload_hash
from tillstream.testing.builders import ACCEPTED_AT, JOB_ID, UTC_ZONE, file_job

pytestmark = pytest.mark.unit

USER = {"user_id": "1", "name": "Ann", "email": "ann@example.org", "signup_date": "2024-01-05"}
EVENT = {
    "event_id": "17",
    "user_id": "1",
    "event_type": "purchase",
    "product_id": "",
    "event_timestamp": "2024-01-05",
}
AS_OF = datetime(2024, 2, 1, tzinfo=UTC)


def read(
    cells: dict[str, str], entity: Entity = Entity.USER, line: int = 2, as_of: datetime | None = None
) -> Message:
    job = file_job(source="partner", as_of=as_of)
    return row_message(entity, cells, payload=b"the row", job=job, line=line, shop_timezone=UTC_ZONE)


def test_columns_are_the_fields_without_nested_items() -> None:
    assert {entity: csv_columns(entity) for entity in Entity} == {
        Entity.USER: (("user_id", "name", "email", "signup_date"), ("updated_at",)),
        Entity.PRODUCT: (("product_id", "product_name", "category", "price"), ("updated_at",)),
        Entity.ORDER: (("order_id", "user_id", "order_date", "status", "total_amount"), ("updated_at",)),
        Entity.ORDER_ITEM: (
            ("order_item_id", "order_id", "product_id", "quantity", "unit_price"),
            ("updated_at",),
        ),
        Entity.EVENT: (
            ("user_id", "event_type", "event_timestamp"),
            ("event_id", "product_id", "updated_at"),
        ),
    }


def test_only_integer_texts_of_number_fields_become_numbers() -> None:
    cells = {
        "order_item_id": "12",
        "order_id": "-5",
        "product_id": "1.0",
        "quantity": "007",
        "unit_price": "10",
        "updated_at": "",
    }
    assert from_csv(Entity.ORDER_ITEM, cells) == {
        "order_item_id": 12, "order_id": -5, "product_id": "1.0", "quantity": "007", "unit_price": "10"
    }  # fmt: skip


def test_event_id_of_digits_stays_a_text() -> None:
    assert from_csv(Entity.EVENT, EVENT)["event_id"] == "17"


def test_row_is_a_message_of_its_job() -> None:
    message = read(USER)
    assert message.content is not None
    assert message.content["signup_date"] == datetime(2024, 1, 5, tzinfo=UTC)
    assert message.message_id == row_message_id(JOB_ID, 2)
    assert (message.source, message.accepted_at, message.payload) == ("partner", ACCEPTED_AT, b"the row")
    assert message.origin == Origin(job_id=JOB_ID, line=2)
    assert not message.correction


def test_version_is_of_the_row_else_of_the_file_else_of_its_claim() -> None:
    updated_at = datetime(2024, 3, 1, tzinfo=UTC)
    for cells, as_of, at in (
        ({**USER, "updated_at": "2024-03-01"}, AS_OF, updated_at),
        ({**USER, "updated_at": ""}, AS_OF, AS_OF),
        (USER, AS_OF, AS_OF),
        (USER, None, ACCEPTED_AT),
        ({**USER, "email": "nobody", "updated_at": "2024-03-01"}, AS_OF, updated_at),
        ({**USER, "email": "nobody"}, AS_OF, AS_OF),
    ):
        message = read(cells, as_of=as_of)
        assert message.version == pack_version(at, ACCEPTED_AT, 2, message.message_id)


def test_event_of_a_file_is_the_same_event_for_ever() -> None:
    assert read(EVENT, Entity.EVENT).message_id == resolve_event_id("partner", "17")
    assert read({**EVENT, "user_id": "x"}, Entity.EVENT).message_id == resolve_event_id("partner", "17")


def test_event_without_an_id_is_known_by_its_content() -> None:
    bare = {**EVENT, "event_id": ""}
    message = read(bare, Entity.EVENT)
    assert message.message_id == row_event_id("partner", message.content_hash)
    spelled = {**bare, "event_timestamp": "2024-01-05T00:00:00Z"}
    assert read(spelled, Entity.EVENT, line=9).message_id == message.message_id
    assert read({**bare, "user_id": "2"}, Entity.EVENT).message_id != message.message_id
    assert read({**bare, "user_id": "x"}, Entity.EVENT).message_id == row_message_id(JOB_ID, 2)


def test_row_that_has_no_cells_is_refused_under_its_place() -> None:
    refusal = Refusal(Reason.RAGGED_ROW, "The row has 3 cells; the header has 4.")
    message = refused_row(
        Entity.USER, refusal, payload=b"a,b,c", job=file_job(as_of=AS_OF), line=5, shop_timezone=UTC_ZONE
    )
    assert (message.refusal, message.content) == (refusal, None)
    assert message.message_id == row_message_id(JOB_ID, 5)
    assert message.content_hash == payload_hash(b"a,b,c")
    assert message.version == pack_version(AS_OF, ACCEPTED_AT, 5, message.message_id)


def test_nested_items_have_no_place_in_a_row() -> None:
    order = {
        "order_id": "1",
        "user_id": "1",
        "order_date": "2024-01-05",
        "status": "paid",
        "total_amount": "1",
        "items": "[]",
    }
    message = read(order, Entity.ORDER)
    assert message.refusal == Refusal(Reason.INVALID_ITEMS, "items must be a list.", "items")
