"""Receipts: what became of a message, wherever it is known."""

from uuid import uuid4

import pytest

from tillstream.contracts.ids import resolve_event_id
from tillstream.testing.shop_rows import LONG_AGO, ShopRows

from .conftest import Api

pytestmark = pytest.mark.integration

NOTHING_KNOWN = {
    "status": "unknown",
    "entity": None,
    "reason": None,
    "message": None,
    "source": None,
    "topic": None,
    "partition": None,
    "offset": None,
    "job_id": None,
    "file_name": None,
    "line": None,
    "accepted_at": None,
    "decided_at": None,
    "resolved_at": None,
    "waits_for": None,
}


async def test_an_id_that_never_came_is_unknown(api: Api) -> None:
    event_id = uuid4()
    assert await api.get(f"/events/{event_id}/receipt") == {"event_id": str(event_id), **NOTHING_KNOWN}


async def test_a_stored_event_says_where_in_the_log_it_stood(api: Api, rows: ShopRows) -> None:
    event_id = rows.event(1, LONG_AGO, kafka_partition=3, kafka_offset=17, stored_at=LONG_AGO)
    assert await api.get(f"/events/{event_id}/receipt") == {
        **NOTHING_KNOWN,
        "event_id": str(event_id),
        "status": "stored",
        "entity": "event",
        "source": "shop",
        "topic": "shop.events.v1",
        "partition": 3,
        "offset": 17,
        "accepted_at": "2024-01-01T00:00:00Z",
        "decided_at": "2024-01-01T00:00:00Z",
    }


async def test_an_event_out_of_a_file_says_which_file_and_line(api: Api, rows: ShopRows) -> None:
    job_id = rows.job(file_name="events.csv")
    event_id = rows.event(1, LONG_AGO, job_id=job_id, line=7)
    receipt = await api.get(f"/events/{event_id}/receipt")
    assert (receipt["job_id"], receipt["file_name"], receipt["line"]) == (str(job_id), "events.csv", 7)
    assert (receipt["topic"], receipt["partition"]) == (None, None)


@pytest.mark.parametrize("raw", ["17", "Bestellung Nr. 17/b", "é%2F"])
async def test_an_id_that_is_no_uuid_belongs_to_its_source(api: Api, rows: ShopRows, raw: str) -> None:
    rows.event(1, LONG_AGO, event_id=resolve_event_id("acme", raw), source="acme")
    path = f"/events/{''.join(f'%{byte:02X}' for byte in raw.encode())}/receipt"
    assert (await api.get(path, source="acme"))["status"] == "stored"
    assert (await api.get(path))["status"] == "unknown"


@pytest.mark.parametrize("outcome", ["stored", "unchanged", "superseded"])
async def test_a_change_has_the_outcome_that_was_written_with_it(
    api: Api, rows: ShopRows, outcome: str
) -> None:
    message_id = rows.change(outcome, topic="shop.users.v1", kafka_partition=0, kafka_offset=4)
    receipt = await api.get(f"/events/{message_id}/receipt")
    assert (receipt["status"], receipt["entity"], receipt["topic"]) == (outcome, "user", "shop.users.v1")


async def test_a_parked_message_says_what_it_waits_for(api: Api, rows: ShopRows) -> None:
    message_id = rows.parked(
        waits_for="product", waits_key=9, topic="shop.events.v1", kafka_partition=1, kafka_offset=2
    )
    receipt = await api.get(f"/events/{message_id}/receipt")
    assert (receipt["status"], receipt["waits_for"]) == ("parked", {"entity": "product", "id": 9})
    assert (receipt["partition"], receipt["offset"]) == (1, 2)


async def test_a_parked_change_of_an_order_says_the_same(api: Api, rows: ShopRows) -> None:
    message_id = rows.change("parked", entity="order")
    rows.parked(message_id=message_id, entity="order")
    receipt = await api.get(f"/events/{message_id}/receipt")
    assert (receipt["status"], receipt["waits_for"]) == ("parked", {"entity": "user", "id": 7})


async def test_a_refused_message_says_why(api: Api, rows: ShopRows) -> None:
    message_id = rows.refused(b"{}", reason="invalid_event_type", message="event_type is none of three.")
    receipt = await api.get(f"/events/{message_id}/receipt")
    assert (receipt["status"], receipt["reason"]) == ("quarantined", "invalid_event_type")
    assert receipt["message"] == "event_type is none of three."


async def test_a_refused_change_says_why_and_not_only_that(api: Api, rows: ShopRows) -> None:
    message_id = rows.change("quarantined", reason="duplicate_email")
    rows.refused(
        message_id=message_id, entity="user", reason="duplicate_email", message="Somebody else has it."
    )
    receipt = await api.get(f"/events/{message_id}/receipt")
    assert (receipt["status"], receipt["message"]) == ("quarantined", "Somebody else has it.")


async def test_a_second_content_under_the_same_id_does_not_hide_that_the_first_is_stored(
    api: Api, rows: ShopRows
) -> None:
    event_id = rows.event(1, LONG_AGO)
    rows.refused(b"other", message_id=event_id, reason="id_conflict")
    change = rows.change("stored")
    rows.refused(b"other", message_id=change, entity="user", reason="id_conflict")
    assert (await api.get(f"/events/{event_id}/receipt"))["status"] == "stored"
    assert (await api.get(f"/events/{change}/receipt"))["status"] == "stored"


async def test_a_corrected_message_shows_the_correction(api: Api, rows: ShopRows) -> None:
    message_id = rows.refused(b"wrong", resolved_at=LONG_AGO, resolution="stored")
    rows.event(1, LONG_AGO, event_id=message_id)
    receipt = await api.get(f"/events/{message_id}/receipt")
    assert (receipt["status"], receipt["reason"]) == ("stored", None)


async def test_a_refusal_that_was_settled_as_a_duplicate_says_so(api: Api, rows: ShopRows) -> None:
    message_id = rows.refused(b"late", resolved_at=LONG_AGO, resolution="duplicate")
    receipt = await api.get(f"/events/{message_id}/receipt")
    assert (receipt["status"], receipt["resolved_at"]) == ("duplicate", "2024-01-01T00:00:00Z")
