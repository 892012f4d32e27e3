"""What a replay would do, told without doing it: the contract is asked, and the tables are looked at.

Each wish is judged alone, against what is stored now; what another wish of the same round would store is not foreseen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from tillstream.apply.replay import checked
from tillstream.apply.statements import FORECAST
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Refusal
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import SENTENCES, Reason
from tillstream.contracts.records import content_hash
from tillstream.contracts.rules import Rules

_FILE = "file"
_PARENTS = (Entity.USER, Entity.PRODUCT, Entity.ORDER)
_EVENT_FIELDS = ("user_id", "event_type", "product_id", "event_timestamp")


class Wish(NamedTuple):
    """A quarantined message and the payload that is to be applied for it. `reason` is why it was refused before."""

    entity: str
    message_id: UUID
    accepted_at: datetime
    version: bytes
    payload: bytes
    reason: str


class Forecast(NamedTuple):
    """The outcome that a wish would have now, and a sentence about it."""

    outcome: OutcomeKind
    sentence: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the tables say about the wishes of one call."""

    changes: Mapping[UUID, tuple[str, str, bytes]]
    events: Mapping[UUID, tuple[Any, ...]]
    parked: Mapping[UUID, bytes]
    rows: Mapping[tuple[str, int], tuple[bytes, bytes | None]]
    items: Mapping[tuple[int, int], bytes]
    addresses: Mapping[str, int]


async def foretell(conn: AsyncConnection, wishes: Sequence[Wish], shop_timezone: ZoneInfo) -> list[Forecast]:
    """One forecast per wish, in their order. Reads and nothing else; raises psycopg's errors as they are."""
    found = [_read(wish, shop_timezone) for wish in wishes]
    contents = {at: content for at, content in enumerate(found) if isinstance(content, dict)}
    seen = await _look(conn, [(wishes[at], content) for at, content in contents.items()])
    return [
        _refused(content.reason, content.message)
        if isinstance(content, Refusal)
        else _judged(Entity(wish.entity), wish, content, seen)
        for wish, content in zip(wishes, found, strict=True)
    ]


def _read(wish: Wish, shop_timezone: ZoneInfo) -> dict[str, Any] | Refusal:
    if wish.entity == _FILE:
        return Refusal(Reason(wish.reason), "What stood in the topic of file jobs is no change of the shop.")
    return checked(Entity(wish.entity), wish.payload, Rules(wish.accepted_at, shop_timezone))


async def _look(conn: AsyncConnection, wishes: Sequence[tuple[Wish, dict[str, Any]]]) -> _Seen:
    ids = {"ids": [wish.message_id for wish, _ in wishes]}
    wanted: dict[str, set[int]] = {parent.value: set() for parent in _PARENTS}
    for _, content in wishes:
        for kind, key in _mentioned(content):
            wanted[kind].add(key)
    single = [content for wish, content in wishes if wish.entity == Entity.ORDER_ITEM]

    async def fetch(name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return await (await conn.execute(FORECAST[name], values)).fetchall()

    keys = {kind: sorted(numbers) for kind, numbers in wanted.items()}
    return _Seen(
        changes={row[0]: (row[1], row[2], row[3]) for row in await fetch("changes", ids)},
        events={row[0]: row[1:] for row in await fetch("events", ids)},
        parked=dict(await fetch("parked", ids)),
        rows={(row[0], row[1]): (row[2], row[3]) for row in await fetch("rows", keys)},
        items={
            (row[0], row[1]): row[2]
            for row in await fetch(
                "items",
                {
                    "orders": [content["order_id"] for content in single],
                    "items": [content["order_item_id"] for content in single],
                },
            )
        },
        addresses=dict(
            await fetch(
                "addresses", {"emails": [content["email"] for _, content in wishes if "email" in content]}
            )
        ),
    )


def _mentioned(content: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Every row that a record speaks of: itself and its parents."""
    inner = [item["product_id"] for item in content.get("items", ())]
    named = [(kind.value, content[f"{kind}_id"]) for kind in _PARENTS if f"{kind}_id" in content]
    return named + [(Entity.PRODUCT.value, product_id) for product_id in inner]


def _judged(entity: Entity, wish: Wish, content: dict[str, Any], seen: _Seen) -> Forecast:
    """In the order in which the engine decides: the id, the parents, the version, the address."""
    found = _by_id(entity, wish, content, seen)
    if found is not None:
        return found
    for kind, key in _parents(entity, content):
        if (kind, key) not in seen.rows:
            return Forecast(OutcomeKind.PARKED, f"would wait for {kind} {key}")
    if _is_older(entity, wish.version, content, seen):
        return Forecast(OutcomeKind.SUPERSEDED, "would change nothing: a newer version is stored already")
    holder = seen.addresses.get(content.get("email", ""))
    if entity is Entity.USER and holder not in {None, content["user_id"]}:
        return _refused(Reason.DUPLICATE_EMAIL, f"User {holder} holds this e-mail address.")
    return Forecast(OutcomeKind.STORED, "would be accepted")


def _by_id(entity: Entity, wish: Wish, content: dict[str, Any], seen: _Seen) -> Forecast | None:
    """What came before under the same id. A change that waits was accepted, and is corrected no more."""
    digest = content_hash(entity, content)
    if entity is Entity.EVENT:
        stored = seen.events.get(wish.message_id)
        if stored is not None:
            return _again("is stored already", is_same=stored == tuple(map(content.get, _EVENT_FIELDS)))
        waiting = seen.parked.get(wish.message_id)
        return None if waiting is None else _again("waits already", is_same=waiting == digest)
    known = seen.changes.get(wish.message_id)
    if known is None or known[1] == OutcomeKind.QUARANTINED:
        return None
    sentence = "waits already" if known[1] == OutcomeKind.PARKED else "is stored already"
    return _again(sentence, is_same=(known[0], known[2]) == (entity.value, digest))


def _again(sentence: str, *, is_same: bool) -> Forecast:
    if is_same:
        return Forecast(OutcomeKind.DUPLICATE, sentence)
    return _refused(Reason.ID_CONFLICT, SENTENCES[Reason.ID_CONFLICT])


def _parents(entity: Entity, content: Mapping[str, Any]) -> list[tuple[str, int]]:
    if entity is Entity.ORDER_ITEM:
        return [("order", content["order_id"]), ("product", content["product_id"])]
    if entity is Entity.ORDER:
        inner = sorted(item["product_id"] for item in content.get("items", ()))
        return [("user", content["user_id"]), *(("product", product_id) for product_id in inner)]
    if entity is Entity.EVENT:
        return [(kind, content[f"{kind}_id"]) for kind in ("user", "product") if f"{kind}_id" in content]
    return []


def _is_older(entity: Entity, version: bytes, content: Mapping[str, Any], seen: _Seen) -> bool:
    if entity is Entity.EVENT:
        return False
    if entity is Entity.ORDER_ITEM:
        _, items_version = seen.rows["order", content["order_id"]]
        own = seen.items.get((content["order_id"], content["order_item_id"]))
        return any(stored is not None and stored >= version for stored in (items_version, own))
    stored, items_version = seen.rows.get((entity.value, content[f"{entity}_id"]), (b"", None))
    takes_items = "items" in content and (items_version is None or items_version < version)
    return stored >= version and not takes_items


def _refused(reason: Reason, sentence: str) -> Forecast:
    return Forecast(OutcomeKind.QUARANTINED, f"would be refused again ({reason.value}): {sentence}")
