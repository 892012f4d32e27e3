"""The use case of the door: check every item, publish the good ones, and say of each what became of it."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ingest_api.policy import IngestPolicy
from ingest_api.read_body import UnreadableLine
from ingest_api.request_headers import RequestHeaders
from tillstream.clock import Clock
from tillstream.contracts.entities import TOPIC_OF, Entity
from tillstream.contracts.ids import new_id, request_message_id, resolve_event_id
from tillstream.contracts.messages import Refusal
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import KEY_FIELD, check, key_of, to_json, too_large
from tillstream.contracts.rules import Rules
from tillstream.errors import BrokerUnavailable, ProducerFull, RecordTooLarge
from tillstream.kafka.records import Outgoing, PublishResult
from tillstream.observe.metrics import Metrics

# What `resolve_event_id` leaves as it is. Most ids are of this form, and a match costs a tenth of making a UUID.
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch

Publish = Callable[[Sequence[Outgoing]], Awaitable[list[PublishResult]]]


class Fate(StrEnum):
    """What is known of a good item after publishing."""

    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"  # sent, but not acknowledged in time: the broker may have it
    NOT_SENT = "not_sent"


class Good(NamedTuple):
    """An item that keeps its contract. `message_id` is a UUID's text; `own_id` the same for an event, else its key."""

    position: int
    message_id: str
    own_id: str | int


class Bad(NamedTuple):
    """An item that breaks its contract, as it came."""

    position: int
    item: object
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Batch:
    """One request. With `idempotency_key` the ids that the door makes are the same on every attempt."""

    entity: Entity
    route: str
    source: str
    items: list[object]
    idempotency_key: str | None


@dataclass(slots=True)
class Result:
    """Good and bad items in the order they came; `fates` goes with `good`. `problem` is set when one is missing."""

    good: list[Good] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    problem: str | None = None


class IngestBatch:
    """`publish` has a deadline of its own and answers for every record; see `kafka.ports.Producer.publish`."""

    def __init__(
        self, publish: Publish, clock: Clock, shop_timezone: ZoneInfo, metrics: Metrics, policy: IngestPolicy
    ) -> None:
        self._publish = publish
        self._clock = clock
        self._shop_timezone = shop_timezone
        self._metrics = metrics
        self._policy = policy

    async def run(self, batch: Batch) -> Result:
        """May be repeated: what has an id of its own, or a key, gets the same message ids again."""
        result = Result()
        records = await self._check_all(batch, result)
        if records:
            await self._publish_all(records, batch, result)
        self._count(batch.entity, result)
        return result

    async def _check_all(self, batch: Batch, result: Result) -> list[Outgoing]:
        rules = Rules(self._clock.now(), self._shop_timezone)
        headers = RequestHeaders(batch.entity, batch.source, rules.accepted_at)
        records: list[Outgoing] = []
        size = self._policy.slice_items
        for start in range(0, len(batch.items), size):
            if start:
                await asyncio.sleep(0)  # others' turn: a large batch takes a tenth of a second
            records += _check_slice(batch, start, batch.items[start : start + size], headers, rules, result)
        return records

    async def _publish_all(self, records: list[Outgoing], batch: Batch, result: Result) -> None:
        try:
            answers = await self._publish(records)
        except BrokerUnavailable as error:
            result.problem = str(error)
            # Everything else that publish cannot do it says per record; what it raises was never sent.
            result.fates = [Fate.NOT_SENT] * len(result.good)
            return
        self._settle(answers, batch, result)

    def _settle(self, answers: list[PublishResult], batch: Batch, result: Result) -> None:
        if all(answer.error is None for answer in answers):
            result.fates = [Fate.ACKNOWLEDGED] * len(answers)
            return
        kept: list[Good] = []
        for good, answer in zip(result.good, answers, strict=True):
            if isinstance(answer.error, RecordTooLarge):
                refusal = Refusal(Reason.RECORD_TOO_LARGE, str(answer.error))
                result.bad.append(Bad(good.position, batch.items[good.position], refusal))
                continue
            kept.append(good)
            result.fates.append(_fate(answer))
            if answer.error is not None:
                result.problem = str(answer.error)
        result.good = kept
        result.bad.sort(key=lambda bad: bad.position)

    def _count(self, entity: Entity, result: Result) -> None:
        acknowledged = result.fates.count(Fate.ACKNOWLEDGED)
        self._metrics.ingest_accepted_records.labels(entity).inc(acknowledged)
        if len(result.good) > acknowledged:
            self._metrics.ingest_unacknowledged_records.labels(entity).inc(len(result.good) - acknowledged)
        for bad in result.bad:
            self._metrics.ingest_rejected_records.labels(entity, bad.refusal.reason).inc()


def retry_key(entity: Entity, given: str | None) -> str | None:
    """The key of a request. Where the client gave none, the door makes one, which a 503 hands out for the retry.

    Events need none: their ids can be sent back as `event_id`, and ids that sort by time are kinder to the index.
    """
    if given is not None or entity is Entity.EVENT:
        return given
    return str(new_id())


def _check_slice(
    batch: Batch, start: int, items: list[object], headers: RequestHeaders, rules: Rules, result: Result
) -> list[Outgoing]:
    """The hot loop: what is done here 75,000 times a second is measured before it is made longer."""
    entity, topic = batch.entity, TOPIC_OF[batch.entity]
    records: list[Outgoing] = []
    for position, item in enumerate(items, start):
        content = _unreadable(item) if type(item) is UnreadableLine else check(entity, item, rules)
        if isinstance(content, Refusal):
            result.bad.append(Bad(position, item, content))
            continue
        good = _identify(batch, position, content)
        value = to_json(entity, content)
        refusal = too_large(value)
        if refusal is not None:
            result.bad.append(Bad(position, item, refusal))
            continue
        key = b"%d" % key_of(entity, content)
        records.append(Outgoing(topic, key, value, headers.of(good.message_id, position)))
        result.good.append(good)
    return records


def _identify(batch: Batch, position: int, content: dict[str, Any]) -> Good:
    """The ids of an item; an event's id is written into its content, so that the record carries it."""
    if batch.entity is not Entity.EVENT:
        return Good(position, _made_id(batch, position), content[KEY_FIELD[batch.entity]])
    given = content.get("event_id")
    if given is None:
        given = content["event_id"] = _made_id(batch, position)
    elif _CANONICAL_UUID(given) is None:
        given = content["event_id"] = str(resolve_event_id(batch.source, given))
    return Good(position, given, given)


def _made_id(batch: Batch, position: int) -> str:
    if batch.idempotency_key is None:
        return str(new_id())
    return str(request_message_id(batch.route, batch.source, batch.idempotency_key, position))


def _unreadable(line: UnreadableLine) -> Refusal:
    return Refusal(Reason.MALFORMED_JSON, line.message)


def _fate(answer: PublishResult) -> Fate:
    if answer.error is None:
        return Fate.ACKNOWLEDGED
    return Fate.NOT_SENT if isinstance(answer.error, ProducerFull) else Fate.UNKNOWN
