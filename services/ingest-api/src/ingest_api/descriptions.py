"""What OpenAPI says about the routes. Request schemas come from the contracts; only the answers are described here."""

from typing import Any

from ingest_api.answers import PLURAL
from ingest_api.drain import RETRY_AFTER_S
from ingest_api.examples import EXAMPLES, MESSAGE_ID
from ingest_api.ingest_batch import Fate
from ingest_api.policy import IngestPolicy
from ingest_api.read_body import JSON_TYPE, NDJSON_TYPE
from tillstream.contracts.entities import Entity
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import RECORD_TYPES
from tillstream.contracts.schemas import record_schemas
from tillstream.http.json_response import PROBLEM_JSON

TITLE = "Tillstream ingest-api"
DESCRIPTION = """\
Takes events, orders, users and products, as a JSON array, one object, or NDJSON; and whole files of them, as CSV.

- **202** comes only after the broker has every accepted item. `inserted` counts what is durably accepted, which is not
  yet what the tables show; on a single broker that means its page cache, not its disk. The ids in the answer lead to a receipt.
- Good items of a mixed batch are accepted; the others are told one by one under `invalid_…`, and nothing is kept of them.
- **422** means that no item was good, **503** that some item was not acknowledged: its `items` say of each good item
  what is known. Send the same body again, under the same `Idempotency-Key` (a 503 hands one out where you sent none)
  or with the `event_ids` as `event_id`: what is stored already is not stored twice.
- **429** comes only while the door is under pressure, and only to a client that takes more than its part of the room; like
  a 503 it says when to come again.
- A **file** (`POST /ingest/files`) goes the way of a file that is dropped into the folder: 202 means that it is on the disk
  and has its job. What becomes of its rows is said by query-api under `job_url`. Under an `Idempotency-Key` the same file
  of the same source and name is the same job; the `as_of` and the `encoding` of the first request count.
- With `dry_run=true` a file is only examined: the answer is 200 and says what would become of it, and which rows would be
  rejected. Nothing is loaded and nothing kept.
- An amount is a JSON number or a decimal text; times without an offset are UTC.
"""

SCHEMA_PLACE = "#/components/schemas/{model}"

_UUID = {"type": "string", "format": "uuid"}
_COUNT = {"type": "integer", "minimum": 0}
_PROBLEM_MEMBERS = {
    "type": {"type": "string"},
    "title": {"type": "string"},
    "status": {"type": "integer"},
    "detail": {"type": "string", "description": "One sentence for people."},
}
PROBLEM = {"type": "object", "required": list(_PROBLEM_MEMBERS), "properties": _PROBLEM_MEMBERS}
PARAMETER_PROBLEM = {
    **PROBLEM,
    "properties": {
        **_PROBLEM_MEMBERS,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("name", "in", "message")},
            },
        },
    },
}
_HEALTH = {
    "type": "object",
    "required": ["status", "timestamp"],
    "properties": {
        "status": {"enum": ["healthy", "degraded"]},
        "timestamp": {"type": "string", "format": "date-time"},
        "problems": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
HEALTH_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The broker answers.", "content": {JSON_TYPE: {"schema": _HEALTH}}},
    422: {
        "description": "A parameter is wrong: this route has none.",
        "content": {PROBLEM_JSON: {"schema": PARAMETER_PROBLEM}},
    },
    503: {"description": "The broker does not answer.", "content": {JSON_TYPE: {"schema": _HEALTH}}},
}


def summary(entity: Entity) -> str:
    return f"Send {PLURAL[entity]}"


def components() -> dict[str, Any]:
    """The schemas of the records that requests may carry, by name."""
    return record_schemas(PLURAL, SCHEMA_PLACE)


def request_body(entity: Entity, policy: IngestPolicy) -> dict[str, Any]:
    """OpenAPI's requestBody of a route."""
    one = {"$ref": SCHEMA_PLACE.format(model=RECORD_TYPES[entity].__name__)}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": policy.max_items}
    example = EXAMPLES[entity]
    examples = {
        "several": {"summary": "An array", "value": [example]},
        "one": {"summary": "One object", "value": example},
    }
    return {
        "required": True,
        "description": f"{policy.max_body_bytes} bytes and {policy.max_items} items at most.",
        "content": {
            JSON_TYPE: {"schema": {"anyOf": [many, one]}, "examples": examples},
            NDJSON_TYPE: {"schema": {"type": "string", "description": "One JSON object a line."}},
        },
    }


def responses(entity: Entity) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's responses of a route."""
    members = _members(entity)
    accepted = {"type": "object", "required": list(members), "properties": members}
    refused = {**accepted, "properties": {**_PROBLEM_MEMBERS, **members}}
    unavailable = {**PROBLEM, "properties": {**_PROBLEM_MEMBERS, **members, **_RETRY_MEMBERS}}
    return {
        202: described("The broker has every accepted item.", accepted, JSON_TYPE, _accepted_example(entity)),
        400: described("The body is not JSON.", PROBLEM),
        408: described("The body did not arrive in time.", PROBLEM),
        413: described("The body has too many bytes or items.", PROBLEM),
        415: described("The body is neither JSON nor NDJSON in UTF-8.", PROBLEM),
        422: described(
            "No item is good, a parameter is wrong, or the Idempotency-Key came with another body before.",
            {"anyOf": [refused, PARAMETER_PROBLEM]},
        ),
        429: {
            **described(
                "The door is under pressure, and this client takes more than its part of the room.", PROBLEM
            ),
            **_RETRY_LATER,
        },
        503: {
            **described("The broker did not acknowledge everything; retry with the same ids.", unavailable),
            **_RETRY_LATER,
        },
    }


_RETRY_LATER = {
    "headers": {
        "Retry-After": {
            "schema": {"type": "integer", "minimum": RETRY_AFTER_S[0], "maximum": RETRY_AFTER_S[-1]},
            "description": "Seconds, by what is in hand and how fast the broker takes it.",
        }
    }
}
_RETRY_MEMBERS = {
    "items": {
        "type": "array",
        "description": "What is known of each good item.",
        "items": {
            "type": "object",
            "properties": {
                "index": _COUNT,
                "message_id": _UUID,
                "status": {"enum": [fate.value for fate in Fate]},
            },
        },
    },
    "idempotency_key": {
        "type": ["string", "null"],
        "description": "Under this key the same body gets the same ids again.",
    },
}


def _members(entity: Entity) -> dict[str, Any]:
    bad = {
        "index": {**_COUNT, "description": "Position in the body, from 0; blank lines do not count."},
        "reason": {"enum": [reason.value for reason in Reason]},
        "message": {"type": "string"},
        entity.value: {
            "description": "The item, or the beginning of its text where it is large or not JSON."
        },
    }
    own_id = _UUID if entity is Entity.EVENT else {"type": "integer", "minimum": 1}
    return {
        "inserted": {**_COUNT, "description": "Items that the broker has acknowledged."},
        "rejected": {**_COUNT, "description": "Items that break their contract."},
        f"invalid_{PLURAL[entity]}": {"type": "array", "items": {"type": "object", "properties": bad}},
        f"{entity.value}_ids": {
            "type": "array",
            "items": own_id,
            "description": "One per good item, in order.",
        },
        "message_ids": {"type": "array", "items": _UUID, "description": "One per good item, in order."},
    }


def _accepted_example(entity: Entity) -> dict[str, Any]:
    own_id = MESSAGE_ID if entity is Entity.EVENT else EXAMPLES[entity][f"{entity.value}_id"]
    return {
        "inserted": 1,
        "rejected": 0,
        f"invalid_{PLURAL[entity]}": [],
        f"{entity.value}_ids": [own_id],
        "message_ids": [MESSAGE_ID],
    }


def described(
    description: str, schema: dict[str, Any], kind: str = PROBLEM_JSON, example: dict[str, Any] | None = None
) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {kind: content}}
