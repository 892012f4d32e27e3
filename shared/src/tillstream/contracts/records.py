"""From an item to checked content, and from there to the one canonical JSON and its hash."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from tillstream.contracts.entities import Entity
from tillstream.contracts.events import EventRecord
from tillstream.contracts.messages import Refusal
from tillstream.contracts.orders import InnerItemRecord, OrderItemRecord, OrderRecord
from tillstream.contracts.parsing import dump_json, parse_json
from tillstream.contracts.products import ProductRecord
from tillstream.contracts.reasons import Reason
from tillstream.contracts.rules import MAX_ITEMS, Rules
from tillstream.contracts.users import UserRecord
from tillstream.errors import ContractViolation

MAX_RECORD_BYTES = 1024 * 1024
# What a record has besides its value: key, seven headers with a source of 320 characters, the frame of a batch.
HEADER_ROOM_BYTES = 4 * 1024
MAX_VALUE_BYTES = MAX_RECORD_BYTES - HEADER_ROOM_BYTES
HASH_BYTES = 16
# Readers give up on deep nesting at a depth that depends on their caller, so a fixed one, far below, decides.
MAX_DEPTH = 32
MAX_SHOWN_CHARS = 64

RECORD_TYPES: Final[dict[Entity, Any]] = {
    Entity.USER: UserRecord,
    Entity.PRODUCT: ProductRecord,
    Entity.ORDER: OrderRecord,
    Entity.ORDER_ITEM: OrderItemRecord,
    Entity.EVENT: EventRecord,
}
FIELDS: Final[dict[Entity, tuple[str, ...]]] = {
    entity: tuple(record.__annotations__) for entity, record in RECORD_TYPES.items()
}
KEY_FIELD: Final[dict[Entity, str]] = {
    Entity.USER: "user_id",
    Entity.PRODUCT: "product_id",
    Entity.ORDER: "order_id",
    Entity.ORDER_ITEM: "order_item_id",
    Entity.EVENT: "user_id",
}
# An event never changes, so that its `updated_at` is no part of what happened.
_UNHASHED = {Entity.EVENT: {"event_id", "updated_at"}}
_HASHED_FIELDS = {
    entity: tuple(name for name in names if name not in _UNHASHED.get(entity, ()))
    for entity, names in FIELDS.items()
}
_ITEM_FIELDS = tuple(InnerItemRecord.__annotations__)
_VALIDATE = {entity: TypeAdapter(record).validator.validate_python for entity, record in RECORD_TYPES.items()}
_STORED_RULES = Rules(datetime(9999, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))

_RULE_OF_ERROR = {
    "missing": (Reason.MISSING_FIELD, "is required"),
    "extra_forbidden": (Reason.UNKNOWN_FIELD, "is not a field of this record"),
    "list_type": (Reason.INVALID_ITEMS, "must be a list"),
    "too_long": (Reason.INVALID_ITEMS, f"must have at most {MAX_ITEMS} items"),
    "dict_type": (Reason.INVALID_ITEMS, "must be an object"),
}
_REASONS = frozenset(Reason)
_NOT_AN_OBJECT = Refusal(Reason.INVALID_RECORD, "The record must be a JSON object.")
TOO_DEEP = Refusal(Reason.MALFORMED_JSON, f"The record must not be nested more than {MAX_DEPTH} levels deep.")
_TOO_LARGE = Refusal(
    Reason.RECORD_TOO_LARGE,
    f"The record must not be larger than {MAX_VALUE_BYTES} bytes in its canonical JSON form.",
)


def check(entity: Entity, item: object, rules: Rules) -> dict[str, Any] | Refusal:
    """The checked content of an item as `parse_json` or `from_csv` gave it, or why it is refused.

    Content has its fields in declared order: ids as int, amounts as Decimal with 2 places, times as aware datetimes in
    UTC, `event_id` as it was given. An optional field that is absent, or null, stays absent. Items of an order are
    sorted by their id and do not repeat the order's. Of several faults the first in declared order is told; unknown
    fields come last, by name. Blocks for microseconds (a large order: milliseconds); never raises.
    """
    if type(item) is not dict:
        return TOO_DEEP if _too_deep(item) else _NOT_AN_OBJECT
    if _untidy(item, FIELDS[entity]):
        item = _tidied(item, FIELDS[entity])
    if entity is Entity.ORDER and type(item.get("items")) is list:
        item = {**item, "items": [_item_tidied(inner) for inner in item["items"]]}
    try:
        content: dict[str, Any] = _VALIDATE[entity](item, context=rules)
    except ValidationError:
        return TOO_DEEP if _too_deep(item) else _refusal(entity, item, rules)
    return content


def to_json(entity: Entity, content: Mapping[str, Any]) -> bytes:
    """The canonical JSON of checked content: declared order, no spaces, amounts as exact numbers, times in UTC with Z."""
    return dump_json({name: content[name] for name in FIELDS[entity] if name in content})


def from_json(entity: Entity, stored: bytes) -> dict[str, Any]:
    """Content out of what `to_json` gave. Raises ContractViolation (or MalformedJson) if it is not that."""
    content = check(entity, parse_json(stored), _STORED_RULES)
    if isinstance(content, Refusal):
        raise ContractViolation(content.message)
    return content


def content_hash(entity: Entity, content: Mapping[str, Any]) -> bytes:
    """16 bytes that are equal for equal content, whatever an event's id and `updated_at`."""
    return payload_hash(
        dump_json({name: content[name] for name in _HASHED_FIELDS[entity] if name in content})
    )


def payload_hash(payload: bytes) -> bytes:
    """16 bytes by which the same bytes are known again, as those of what was refused."""
    return blake2b(payload, digest_size=HASH_BYTES).digest()


def key_of(entity: Entity, content: Mapping[str, Any]) -> int:
    """The id whose changes must stay in order: of an event its user's, else the record's own."""
    return int(content[KEY_FIELD[entity]])


def too_large(value: bytes) -> Refusal | None:
    """Whether a canonical value would pass the limit of a Kafka record; a door asks before it publishes."""
    return _TOO_LARGE if len(value) > MAX_VALUE_BYTES else None


def _untidy(item: dict[str, Any], known: tuple[str, ...]) -> bool:
    return None in item.values() or len(item) > len(known)


def _tidied(item: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """Without known fields that are null, and with one unknown field at most, the first by name: one refuses it."""
    tidy = {name: value for name, value in item.items() if name in known and value is not None}
    unknown = min((name for name in item if name not in known), default=None)
    if unknown is not None:
        tidy[_shown(unknown)] = item[unknown]
    return tidy


def _item_tidied(inner: Any) -> Any:
    if type(inner) is not dict or not _untidy(inner, _ITEM_FIELDS):
        return inner
    return _tidied(inner, _ITEM_FIELDS)


def _too_deep(item: object) -> bool:
    level = [item]
    for _ in range(MAX_DEPTH + 1):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> list[object]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _refusal(entity: Entity, item: dict[str, Any], rules: Rules) -> Refusal:
    """Why `item` is refused. It is checked again in its tidy form, where names are fit to be reported."""
    tidy = _tidied(item, FIELDS[entity])
    if entity is Entity.ORDER and type(tidy.get("items")) is list:
        tidy["items"] = [_tidied(one, _ITEM_FIELDS) if type(one) is dict else one for one in tidy["items"]]
    try:
        _VALIDATE[entity](tidy, context=rules)
    except ValidationError as error:
        return refusal_of(error)
    raise AssertionError("A tidy record passed where the same record as it came did not.")


def refusal_of(error: ValidationError) -> Refusal:
    """The first fault that Pydantic found, in our words."""
    first = error.errors(include_url=False, include_input=False)[0]
    if not first["loc"]:
        return _NOT_AN_OBJECT
    field = field_path(first["loc"]) + first.get("ctx", {}).get("at", "")
    if first["type"] in _REASONS:
        reason, rule = Reason(first["type"]), first["msg"]
    else:
        reason, rule = _RULE_OF_ERROR[first["type"]]
    return Refusal(reason, f"{field} {rule}.", field)


def field_path(location: tuple[int | str, ...]) -> str:
    """`items[3].quantity`: where in a record, fit to be shown, logged and stored whatever a client called its fields."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in location)
    return path.removeprefix(".")


def _shown(name: str) -> str:
    if not name:
        return '""'
    printable = "".join(
        char if char.isprintable() else f"\\u{ord(char):04x}" for char in name[:MAX_SHOWN_CHARS]
    )
    return printable if len(name) <= MAX_SHOWN_CHARS else f"{printable}…"
