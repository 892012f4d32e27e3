"""The use case of the door: check every item, publish the good ones, and say of each what became of it."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ingest_api.plain_events import PlainEvents, read_plain
from ingest_api.policy import IngestPolicy
from ingest_api.read_body import NDJSON_TYPE, UnreadableLine, items_of, lines_of
from ingest_api.request_headers import RequestHeaders
from tillstream.clock import Clock
from tillstream.contracts.entities import TOPIC_OF, Entity
from tillstream.contracts.ids import new_id, new_ids, request_message_id, resolve_event_id
from tillstream.contracts.messages import Refusal
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import KEY_FIELD, check, key_of, to_json, too_large
from tillstream.contracts.rules import Rules
from tillstream.errors import BrokerUnavailable, ProducerFull, RecordTooLarge
from tillstream.kafka.records import Outgoing, PublishResult
from tillstream.observe.metrics import Metrics

# What `resolve_event_id` leaves as it is. Most ids are of this form, and a match costs a tenth of making a UUID.
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch

_error_of = attrgetter("error")

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


class Batch(NamedTuple):
    """One request. With `idempotency_key` the ids that the door makes are the same on every attempt."""

    entity: Entity
    route: str
    source: str
    body: bytes
    kind: str
    idempotency_key: str | None


@dataclass(slots=True)
class Result:
    """Good and bad items in the order they came; `fates` goes with `good`. `problem` is set when one is missing."""

    good: list[Good] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    problem: str | None = None


class AllAccepted(NamedTuple):
    """A result without anything to tell: every item was good and is acknowledged. Events only: an id is all they have."""

    ids: list[str]


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
        for entity in TOPIC_OF:  # from 0 on, or Prometheus would not see the first ones as a rise
            metrics.ingest_accepted_records.labels(entity)
            metrics.ingest_unacknowledged_records.labels(entity)

    async def run(self, batch: Batch) -> Result | AllAccepted:
        """May be repeated: what has an id of its own, or a key, gets the same message ids again.

        Raises Problem for a body that is no good as a whole; see `items_of`.
        """
        rules = Rules(self._clock.now(), self._shop_timezone)
        headers = RequestHeaders(batch.entity, batch.source, rules.accepted_at)
        if batch.entity is Entity.EVENT:
            plain = read_plain(_texts(batch), rules, self._policy.max_items)
            if plain is not None:
                return await self._run_plain(batch, plain, headers)
        result = Result()
        items = items_of(batch.body, batch.kind, self._policy)
        records = await self._check_all(batch, items, rules, headers, result)
        if records:
            self._settle(await self._answers(records), batch, result)
        self._count(batch.entity, result)
        return result

    async def _run_plain(
        self, batch: Batch, plain: PlainEvents, headers: RequestHeaders
    ) -> Result | AllAccepted:
        ids = _ids(batch, plain.given_ids)
        records: list[Outgoing] = []
        for start in range(0, len(ids), self._policy.slice_items):
            if start:
                await asyncio.sleep(0)
            records += plain.records(ids, headers, slice(start, start + self._policy.slice_items))
        answers = await self._answers(records)
        if isinstance(answers, list) and not any(map(_error_of, answers)):
            self._metrics.ingest_accepted_records.labels(batch.entity).inc(len(ids))
            return AllAccepted(ids)
        result = Result(good=list(map(Good, range(len(ids)), ids, ids)))
        self._settle(answers, batch, result)
        self._count(batch.entity, result)
        return result

    async def _check_all(
        self, batch: Batch, items: list[object], rules: Rules, headers: RequestHeaders, result: Result
    ) -> list[Outgoing]:
        records: list[Outgoing] = []
        size = self._policy.slice_items
        for start in range(0, len(items), size):
            if start:
                await asyncio.sleep(0)  # others' turn: a large batch takes a tenth of a second
            records += _check_slice(batch, start, items[start : start + size], headers, rules, result)
        return records

    async def _answers(self, records: list[Outgoing]) -> list[PublishResult] | BrokerUnavailable:
        """One for each record; or the one error for which nothing was sent."""
        try:
            return await self._publish(records)
        except BrokerUnavailable as error:
            # Everything else that publish cannot do it says per record; what it raises was never sent.
            return error

    def _settle(self, answers: list[PublishResult] | BrokerUnavailable, batch: Batch, result: Result) -> None:
        if isinstance(answers, BrokerUnavailable):
            result.problem = str(answers)
            result.fates = [Fate.NOT_SENT] * len(result.good)
        elif any(map(_error_of, answers)):
            self._settle_each(answers, items_of(batch.body, batch.kind, self._policy), result)
        else:
            result.fates = [Fate.ACKNOWLEDGED] * len(answers)

    def _settle_each(self, answers: list[PublishResult], items: list[object], result: Result) -> None:
        kept: list[Good] = []
        for good, answer in zip(result.good, answers, strict=True):
            if isinstance(answer.error, RecordTooLarge):
                refusal = Refusal(Reason.RECORD_TOO_LARGE, str(answer.error))
                result.bad.append(Bad(good.position, items[good.position], refusal))
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


def _texts(batch: Batch) -> bytes | list[bytes]:
    return lines_of(batch.body) if batch.kind == NDJSON_TYPE else batch.body


def _ids(batch: Batch, given: list[str | None]) -> list[str]:
    """The id of every event: what came with it, or a new one."""
    missing = given.count(None)
    if not missing:
        return [each for each in given if each is not None]
    if batch.idempotency_key is not None:
        return [each or _made_id(batch, position) for position, each in enumerate(given)]
    made = new_ids(missing)
    if missing == len(given):
        return made
    each_made = iter(made)
    return [each or next(each_made) for each in given]


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
