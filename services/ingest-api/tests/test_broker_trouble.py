"""Never a 202 without the broker: what a 503 says, and that a retry with it doubles nothing."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from ingest_api.answers import PLURAL
from tillstream.contracts.entities import EVENTS_TOPIC, Entity
from tillstream.contracts.reasons import Reason
from tillstream.errors import BrokerUnavailable, ProducerFull, RecordTooLarge, TillstreamError
from tillstream.kafka.memory import MemoryBroker, MemoryProducer
from tillstream.kafka.records import Outgoing, PublishResult
from tillstream.testing.builders import event_item, order_item, product_item, user_item, without
from tillstream.testing.waiting import eventually

from .conftest import POLICY, Bench, StoppedClock, column, open_bench, problem

pytestmark = pytest.mark.unit

GOOD = {
    Entity.EVENT: without(event_item(), "event_id"),
    Entity.ORDER: order_item(),
    Entity.USER: user_item(),
    Entity.PRODUCT: product_item(),
}


class PartlyFailing:
    """A producer that answers for each record by its position; or refuses all of them at once."""

    def __init__(
        self, answer: Callable[[int], TillstreamError | None], refuses: TillstreamError | None = None
    ) -> None:
        self.published: list[Outgoing] = []
        self._answer = answer
        self._refuses = refuses

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def probe(self) -> None: ...

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        assert deadline_s == POLICY.publish_s
        if self._refuses is not None:
            raise self._refuses
        self.published += records
        return [PublishResult(0, index, self._answer(index)) for index in range(len(records))]


async def test_broker_that_is_down_is_503_with_every_id(bench: Bench) -> None:
    bench.broker.up = False
    answer = await bench.post([event_item(event_id="a"), {}, without(event_item(), "event_id")])
    body = problem(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert (body["inserted"], body["rejected"]) == (0, 1)
    assert len(body["event_ids"]) == 2
    assert column(body["items"], "index") == [0, 2]
    assert column(body["items"], "message_id") == body["message_ids"] == body["event_ids"]
    assert bench.count("ingest_unacknowledged_records_total", entity="event") == 2
    assert bench.count("ingest_accepted_records_total", entity="event") == 0
    assert bench.count("producer_failed_records_total", topic="shop.events.v1") == 2


async def test_silent_broker_is_503_and_may_have_everything(bench: Bench) -> None:
    bench.broker.silent = True
    body = problem(await bench.post([event_item()] * 2), 503)
    assert column(body["items"], "status") == ["unknown", "unknown"]
    assert body["inserted"] == 0
    assert len(bench.records()) == 2


async def test_partly_acknowledged_batch_says_which_items() -> None:
    gone = BrokerUnavailable("Kafka gave no answer within 5 s.")
    producer = PartlyFailing(lambda index: gone if index == 1 else None)
    async with open_bench(producer=producer) as bench:
        body = problem(await bench.post([event_item()] * 3), 503)
    assert body["detail"] == "Kafka gave no answer within 5 s."
    assert column(body["items"], "status") == ["acknowledged", "unknown", "acknowledged"]
    assert body["inserted"] == 2


async def test_full_buffer_is_503_with_nothing_sent() -> None:
    full = ProducerFull("100000 records wait for Kafka already; at most 100000 may.")
    producer = PartlyFailing(lambda _: None, refuses=full)
    async with open_bench(producer=producer) as bench:
        body = problem(await bench.post([event_item()] * 2), 503)
        assert bench.count("producer_buffered_records") == 0
        assert bench.count("producer_failed_records_total", topic="shop.events.v1") == 2
    assert column(body["items"], "status") == ["not_sent", "not_sent"]
    assert producer.published == []


async def test_record_too_large_for_the_broker_is_refused_as_that_item(bench: Bench) -> None:
    bench.broker.max_record_bytes = 600
    items = [product_item(product_id=1), product_item(product_id=2, category="x" * 300), {}]
    answer = await bench.post(items, to="products")
    body = answer.json()
    assert answer.status_code == 202
    assert (body["product_ids"], body["rejected"]) == ([1], 2)
    assert column(body["invalid_products"], "index") == [1, 2]
    assert body["invalid_products"][0]["reason"] == Reason.RECORD_TOO_LARGE
    assert body["invalid_products"][0]["product"] == items[1]


async def test_batch_of_records_that_are_all_too_large_is_422() -> None:
    async with open_bench(producer=PartlyFailing(lambda _: RecordTooLarge("A record of 2 MiB."))) as bench:
        body = problem(await bench.post([event_item()]), 422)
    assert (body["rejected"], body["event_ids"]) == (1, [])


@pytest.mark.parametrize("entity", PLURAL)
async def test_retry_under_the_key_of_a_503_has_the_same_ids(bench: Bench, entity: Entity) -> None:
    given = "my-key" if entity is Entity.EVENT else None  # for other kinds the door makes a key
    headers = {"idempotency_key": given} if given else {}
    bench.broker.silent = True
    first = problem(await bench.post([GOOD[entity], {}, GOOD[entity]], to=PLURAL[entity], **headers), 503)
    bench.broker.silent = False
    again = await bench.post(
        [GOOD[entity], {}, GOOD[entity]], to=PLURAL[entity], idempotency_key=first["idempotency_key"]
    )
    assert again.status_code == 202
    assert again.json()["message_ids"] == first["message_ids"]
    assert {str(message.message_id) for message in bench.messages(entity)} == set(first["message_ids"])


async def test_retry_with_the_event_ids_of_a_503_has_the_same_ids(bench: Bench) -> None:
    bench.broker.silent = True
    items = [GOOD[Entity.EVENT], event_item(event_id="17")]
    first = problem(await bench.post(items), 503)
    bench.broker.silent = False
    named = [{**item, "event_id": made} for item, made in zip(items, first["event_ids"], strict=True)]
    again = await bench.post(named)
    assert again.json()["event_ids"] == first["event_ids"]
    assert len({message.message_id for message in bench.messages()}) == 2


async def test_rejected_items_of_a_503_are_told_too(bench: Bench) -> None:
    bench.broker.up = False
    body = problem(await bench.post([event_item(), {"user_id": 0}]), 503)
    assert column(body["invalid_events"], "index") == [1]


async def test_bad_batch_needs_no_broker(bench: Bench) -> None:
    bench.broker.up = False
    problem(await bench.post([{}]), 422)
    problem(await bench.post(b"nope"), 400)


async def test_requests_before_the_first_connection_are_503(bench: Bench) -> None:
    await bench.app.link.close()
    bench.broker.up = False
    await bench.app.link.open()
    await asyncio.sleep(0)
    body = problem(await bench.post([event_item()]), 503)
    assert column(body["items"], "status") == ["not_sent"]
    assert (await bench.client.get("/health")).status_code == 503
    bench.broker.up = True
    await eventually(lambda: bench.app.link.connected)
    assert (await bench.post([event_item()])).status_code == 202


async def test_door_recovers_without_help(bench: Bench) -> None:
    bench.broker.up = False
    problem(await bench.post([event_item()]), 503)
    bench.broker.up = True
    assert (await bench.post([event_item()])).status_code == 202


class Hasty(MemoryProducer):
    """A planted bug: it says that the broker has what it only tried to send."""

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        await super().publish(records, deadline_s)
        return [PublishResult(0, 0) for _ in records]


async def what_a_202_names_is_in_the_log(bench: Bench) -> None:
    """Posts while the broker comes and goes, and compares what was promised with what is there."""
    promised: set[str] = set()
    for number in range(12):
        bench.broker.up = number % 3 != 0
        answer = await bench.post([event_item(event_id=str(number)), {}])
        if answer.status_code == 202:
            promised |= set(answer.json()["event_ids"])
        else:
            assert answer.status_code == 503
    assert promised
    assert promised <= {str(message.message_id) for message in bench.messages()}


async def test_door_keeps_what_it_promises_while_the_broker_comes_and_goes(bench: Bench) -> None:
    await what_a_202_names_is_in_the_log(bench)


async def test_planted_202_before_the_acknowledgement_is_found() -> None:
    broker = MemoryBroker(StoppedClock())
    broker.create_topic(EVENTS_TOPIC)
    async with open_bench(broker=broker, producer=Hasty(broker)) as bench:
        with pytest.raises(AssertionError, match="<="):
            await what_a_202_names_is_in_the_log(bench)
