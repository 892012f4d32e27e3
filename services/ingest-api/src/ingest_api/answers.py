"""From a result to an answer: the same members whatever the status, so that a client reads one shape."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from ingest_api.ingest_batch import AllAccepted, Bad, Batch, Fate, Result
from ingest_api.policy import IngestPolicy
from ingest_api.read_body import UnreadableLine
from tillstream.contracts.entities import Entity
from tillstream.contracts.parsing import dump_json
from tillstream.http.json_response import finished_json, json_response
from tillstream.http.problems import Problem, problem_response, unavailable

PLURAL: dict[Entity, str] = {
    Entity.EVENT: "events",
    Entity.ORDER: "orders",
    Entity.USER: "users",
    Entity.PRODUCT: "products",
}
ELLIPSIS = "…"


def answer(
    batch: Batch, result: Result | AllAccepted, policy: IngestPolicy, retry_after_s: Callable[[], int]
) -> Response:
    """202 when every good item is acknowledged, 422 when none is good, else 503 with what is known of each."""
    if isinstance(result, AllAccepted):
        return finished_json(_all_accepted(result.ids), 202)
    body = _body(batch, result, policy)
    if result.problem is not None:
        body["items"] = [
            {"index": good.position, "message_id": good.message_id, "status": fate}
            for good, fate in zip(result.good, result.fates, strict=True)
        ]
        body["idempotency_key"] = batch.idempotency_key
        return problem_response(unavailable(result.problem, extra=body, retry_after_s=retry_after_s()))
    if not result.good:
        first = result.bad[0]
        detail = f"No item is good. The first one: {first.refusal.message}"
        return problem_response(Problem(422, detail, extra=body))
    return json_response(body, 202)


def _all_accepted(ids: list[str]) -> bytes:
    """What `_body` says of such a batch, put together from what is at hand; ids need no quoting."""
    list_of_ids = b'["%b"]' % '","'.join(ids).encode()
    return b'{"inserted":%d,"rejected":0,"invalid_events":[],"event_ids":%b,"message_ids":%b}' % (
        len(ids),
        list_of_ids,
        list_of_ids,
    )


def _body(batch: Batch, result: Result, policy: IngestPolicy) -> dict[str, Any]:
    plural = PLURAL[batch.entity]
    return {
        "inserted": result.fates.count(Fate.ACKNOWLEDGED),
        "rejected": len(result.bad),
        f"invalid_{plural}": [_told(batch.entity, bad, policy) for bad in result.bad],
        f"{batch.entity}_ids": [good.own_id for good in result.good],
        "message_ids": [good.message_id for good in result.good],
    }


def _told(entity: Entity, bad: Bad, policy: IngestPolicy) -> dict[str, Any]:
    return {
        "index": bad.position,
        "reason": bad.refusal.reason,
        "message": bad.refusal.message,
        entity.value: _echo(bad.item, policy.max_echo_bytes),
    }


def _echo(item: object, max_bytes: int) -> object:
    """The item itself where it is small, else the beginning of its JSON as a text; of a bad line always a text."""
    if isinstance(item, UnreadableLine):
        return _piece(item.line, max_bytes)
    try:
        raw = dump_json(item)
    except RecursionError:  # nested more deeply than can be written
        return ELLIPSIS
    return item if len(raw) <= max_bytes else _piece(raw, max_bytes)


def _piece(raw: bytes, max_bytes: int) -> str:
    piece = raw[:max_bytes].decode("utf-8", "replace")
    return piece if len(raw) <= max_bytes else piece + ELLIPSIS
