"""What a request leaves in the log, and what its answer says."""

import json
from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.answers import PLURAL
from ingest_api.examples import BAD_EVENT, EXAMPLES
from ingest_api.request_headers import RequestHeaders
from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import headers_for
from tillstream.contracts.ids import new_id, request_message_id, resolve_event_id
from tillstream.contracts.reasons import Reason
from tillstream.kafka.records import header_bytes_of
from tillstream.testing.builders import event_item, inner_item, order_item, product_item, user_item, without

from .conftest import NOW, Bench, column, open_bench, problem

pytestmark = pytest.mark.unit

ID = "0192f0c1-7e2a-7c40-9b1e-3f5a8d2c6b70"
OTHER_ID = "0192f0c1-7e2a-7c40-9b1e-3f5a8d2c6b71"
GOOD = {
    Entity.EVENT: event_item(),
    Entity.ORDER: order_item(items=[inner_item()]),
    Entity.USER: user_item(),
    Entity.PRODUCT: product_item(),
}


async def test_good_items_of_a_mixed_batch_are_accepted_and_the_others_told(bench: Bench) -> None:
    first, second = event_item(event_id=ID), event_item(event_id=OTHER_ID, user_id=2)
    answer = await bench.post([first, BAD_EVENT, second, 17])
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "inserted": 2,
        "rejected": 2,
        "invalid_events": [
            {
                "index": 1,
                "reason": "invalid_event_type",
                "message": "event_type must be one of page_view, add_to_cart, purchase.",
                "event": BAD_EVENT,
            },
            {
                "index": 3,
                "reason": "invalid_record",
                "message": "The record must be a JSON object.",
                "event": 17,
            },
        ],
        "event_ids": [ID, OTHER_ID],
        "message_ids": [ID, OTHER_ID],
    }
    assert {str(message.message_id) for message in bench.messages()} == {ID, OTHER_ID}


async def test_record_in_the_log_is_what_the_worker_expects(bench: Bench) -> None:
    await bench.post(event_item(event_id=ID, user_id=42), x_source="acme")
    (record,), (message,) = bench.records(), bench.messages()
    assert record.key == b"42"
    assert message.refusal is None
    assert (message.source, message.accepted_at, str(message.message_id)) == ("acme", NOW, ID)
    assert message.content is not None
    assert (message.content["event_id"], message.content["user_id"]) == (ID, 42)


@pytest.mark.parametrize("entity", PLURAL)
async def test_every_kind_has_its_route_topic_and_names(bench: Bench, entity: Entity) -> None:
    answer = await bench.post([GOOD[entity], {}], to=PLURAL[entity])
    body = answer.json()
    assert answer.status_code == 202
    assert list(body) == ["inserted", "rejected", f"invalid_{PLURAL[entity]}", f"{entity}_ids", "message_ids"]
    assert column(body[f"invalid_{PLURAL[entity]}"], entity.value) == [{}]
    (message,) = bench.messages(entity)
    assert message.refusal is None
    assert [str(message.message_id)] == body["message_ids"]
    own_id = str(message.message_id) if entity is Entity.EVENT else 1
    assert body[f"{entity}_ids"] == [own_id]


@pytest.mark.parametrize("entity", PLURAL)
async def test_example_of_the_documentation_is_accepted(bench: Bench, entity: Entity) -> None:
    answer = await bench.post(EXAMPLES[entity], to=PLURAL[entity])
    assert answer.json()["inserted"] == 1


async def test_ids_go_with_the_accepted_items_in_their_order(bench: Bench) -> None:
    items = [order_item(order_id=number) if number % 3 else {"order_id": number} for number in range(1, 8)]
    body = (await bench.post(items, to="orders")).json()
    assert body["order_ids"] == [1, 2, 4, 5, 7]
    assert column(body["invalid_orders"], "index") == [2, 5]
    by_id = {str(message.message_id): message.content for message in bench.messages(Entity.ORDER)}
    assert [(by_id[message_id] or {})["order_id"] for message_id in body["message_ids"]] == [1, 2, 4, 5, 7]


async def test_lines_are_items_and_a_bad_line_is_one_rejected_item(bench: Bench) -> None:
    lines = [
        json.dumps(event_item(event_id=ID)),
        "",
        '{"user_id": 1,',
        " \t",
        "[1]",
        json.dumps(event_item()),
    ]
    answer = await bench.post("\r\n".join(lines).encode() + b"\n\n", content_type="application/x-ndjson")
    body = answer.json()
    assert answer.status_code == 202
    assert (body["inserted"], body["rejected"]) == (2, 2)
    assert column(body["invalid_events"], "index") == [1, 2]
    assert column(body["invalid_events"], "reason") == ["malformed_json", "invalid_record"]
    assert column(body["invalid_events"], "event") == ['{"user_id": 1,\r', [1]]


async def test_line_that_is_not_utf8_is_one_rejected_item(bench: Bench) -> None:
    body = b"\xff\xfe\n" + json.dumps(event_item()).encode()
    answer = await bench.post(body, content_type="application/x-ndjson")
    assert answer.json()["invalid_events"][0]["reason"] == "malformed_json"
    assert answer.json()["inserted"] == 1


async def test_one_object_is_a_batch_of_one(bench: Bench) -> None:
    answer = await bench.post(event_item(event_id=ID))
    assert answer.json()["event_ids"] == [ID]


async def test_charset_utf8_may_be_said(bench: Bench) -> None:
    answer = await bench.post(event_item(), content_type='application/json; charset="UTF-8"')
    assert answer.status_code == 202


async def test_id_that_is_no_uuid_belongs_to_its_source(bench: Bench) -> None:
    ids = [
        (await bench.post(event_item(event_id="17"), **headers)).json()["event_ids"]
        for headers in ({}, {"x_source": "acme"}, {"x_source": "other"}, {"x_source": "acme"})
    ]
    assert ids == [[str(resolve_event_id(source, "17"))] for source in ("shop", "acme", "other", "acme")]


@pytest.mark.parametrize("written", [ID.upper(), ID])
async def test_uuid_stays_whoever_sends_it(bench: Bench, written: str) -> None:
    answer = await bench.post(event_item(event_id=written), x_source="acme")
    assert answer.json()["event_ids"] == [ID]


async def test_source_may_be_a_parameter(bench: Bench) -> None:
    answer = await bench.client.post("/ingest/events", params={"source": "acme"}, json=event_item())
    assert answer.status_code == 202
    assert bench.messages()[0].source == "acme"


async def test_event_without_an_id_gets_one_that_sorts_by_time(bench: Bench) -> None:
    body = (await bench.post([without(event_item(), "event_id")] * 2)).json()
    made = [UUID(text) for text in body["event_ids"]]
    assert [each.version for each in made] == [7, 7]
    assert len(set(made)) == 2
    assert {message.message_id for message in bench.messages()} == set(made)


async def test_item_twice_in_one_request_is_sent_twice_under_one_id(bench: Bench) -> None:
    body = (await bench.post([event_item(event_id=ID)] * 2)).json()
    assert (body["inserted"], body["event_ids"]) == (2, [ID, ID])
    assert [str(message.message_id) for message in bench.messages()] == [ID, ID]


@pytest.mark.parametrize("entity", PLURAL)
async def test_same_key_gives_same_ids_and_another_key_others(bench: Bench, entity: Entity) -> None:
    items = [without(GOOD[entity], "event_id"), {}, without(GOOD[entity], "event_id")]
    plural = PLURAL[entity]
    ids = [
        (await bench.post(items, to=plural, idempotency_key=key)).json()["message_ids"]
        for key in ("k1", "k1", "k2")
    ]
    assert ids[0] == [str(request_message_id(f"/ingest/{plural}", "shop", "k1", index)) for index in (0, 2)]
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])


async def test_id_of_its_own_comes_before_the_key(bench: Bench) -> None:
    answer = await bench.post(event_item(event_id=ID), idempotency_key="k1")
    assert answer.json()["event_ids"] == [ID]


async def test_position_in_the_request_is_kept_for_the_version(bench: Bench) -> None:
    body = (await bench.post([order_item(), {}, order_item(status="shipped")], to="orders")).json()
    first, second = body["message_ids"]
    by_id = {str(message.message_id): message for message in bench.messages(Entity.ORDER)}
    assert by_id[first].version < by_id[second].version


async def test_batch_longer_than_a_slice_keeps_its_order(bench: Bench) -> None:
    items = [order_item(order_id=number) for number in range(1, 1_001)]
    body = (await bench.post(items, to="orders")).json()
    assert body["order_ids"] == list(range(1, 1_001))


async def test_answer_is_counted_by_entity_and_reason(bench: Bench) -> None:
    await bench.post([event_item(), BAD_EVENT, BAD_EVENT])
    assert bench.count("ingest_accepted_records_total", entity="event") == 1
    assert bench.count("ingest_rejected_records_total", entity="event", reason=Reason.INVALID_EVENT_TYPE) == 2
    assert bench.count("http_requests_total", route="/ingest/events", status="202") == 1
    assert bench.count("producer_buffered_records") == 0
    assert bench.count("last_success_timestamp_seconds", activity="publish") == NOW.timestamp()


@pytest.mark.parametrize("size", [400, 100_000])
async def test_rejected_item_is_echoed_in_short(bench: Bench, size: int) -> None:
    body = problem(await bench.post([{"user_id": "x" * size}]), 422)
    echo = body["invalid_events"][0]["event"]
    if size == 400:
        assert echo == {"user_id": "x" * 400}
    else:
        assert echo.startswith('{"user_id":"xxx')
        assert echo.endswith("…")
        assert len(echo) < 600


async def test_numbers_are_echoed_as_they_were_written(bench: Bench) -> None:
    answer = await bench.post(
        b'[{"user_id": 1.50, "product_id": 1E400, "event_id": 12345678901234567890123}]'
    )
    assert answer.status_code == 422
    assert '"event":{"user_id":1.50,"product_id":1E400,"event_id":12345678901234567890123}' in answer.text


async def test_lone_surrogate_is_refused_as_its_item(bench: Bench) -> None:
    answer = await bench.post(
        b'[{"user_id": 1, "event_type": "\\ud800"}, ' + json.dumps(event_item()).encode() + b"]"
    )
    body = answer.json()
    assert (answer.status_code, body["inserted"]) == (202, 1)
    assert body["invalid_events"][0]["index"] == 0
    assert body["invalid_events"][0]["event"]["event_type"] == "�"


async def test_time_is_judged_by_the_moment_of_acceptance(bench: Bench) -> None:
    items = [
        event_item(event_timestamp=moment) for moment in ("2024-06-02T12:00:00Z", "2024-06-02T12:00:01Z")
    ]
    body = (await bench.post(items)).json()
    assert (body["inserted"], column(body["invalid_events"], "reason")) == (1, ["invalid_timestamp"])


@settings(max_examples=25, deadline=None)
@given(
    good=st.lists(st.booleans(), min_size=1, max_size=40),
    kind=st.sampled_from(["application/json", "application/x-ndjson"]),
)
async def test_every_item_is_either_in_the_log_or_in_the_answer(good: list[bool], kind: str) -> None:
    async with open_bench() as bench:
        items = [
            event_item(event_id=f"e{index}", user_id=1 if fine else 0) for index, fine in enumerate(good)
        ]
        lines = [json.dumps(item) for item in items]
        content = ("\n".join(lines) if kind.endswith("ndjson") else f"[{','.join(lines)}]").encode()
        answer = await bench.post(content, content_type=kind)
        body = answer.json()
        assert answer.status_code == (202 if any(good) else 422)
        assert body["inserted"] == len(body["event_ids"]) == sum(good)
        assert column(body["invalid_events"], "index") == [
            index for index, fine in enumerate(good) if not fine
        ]
        assert sorted(str(message.message_id) for message in bench.messages()) == sorted(body["event_ids"])


@pytest.mark.parametrize("entity", PLURAL)
def test_headers_made_once_are_those_of_the_contract(entity: Entity) -> None:
    accepted_at = datetime.fromisoformat("2024-01-20T10:30:00.000001+05:45")
    message_id = new_id()
    wanted = headers_for(
        message_id=message_id, entity=entity, source="acme", accepted_at=accepted_at, position=7
    )
    headers = RequestHeaders(entity, "acme", accepted_at)
    headers.of(str(new_id()), 1)
    assert headers.of(str(message_id), 7) == wanted
    assert 0 <= headers.most_bytes - header_bytes_of(wanted) < 10
