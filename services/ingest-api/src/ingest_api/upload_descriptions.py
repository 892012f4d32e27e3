"""What OpenAPI says about POST /ingest/files."""

from typing import Any

from ingest_api.descriptions import PARAMETER_PROBLEM, PROBLEM, described
from ingest_api.examples import MESSAGE_ID
from ingest_api.read_body import JSON_TYPE
from tillstream.contracts.entities import Entity
from tillstream.contracts.reasons import Reason
from tillstream.csv.diagnosis import VERDICTS
from tillstream.csv.encoding import Certainty, Encoding

FILE_TYPES = ("text/csv", "text/tab-separated-values", "application/octet-stream", "application/gzip")
SUMMARY = "Send a file"

_MEMBERS: dict[str, Any] = {
    "job_id": {"type": "string", "format": "uuid"},
    "job_url": {"type": "string", "description": "Where query-api says what becomes of it."},
    "file_name": {"type": "string"},
    "source": {"type": "string"},
    "bytes": {"type": "integer", "minimum": 1},
    "repeated": {
        "type": "boolean",
        "description": "True where an earlier request under this Idempotency-Key brought the file.",
    },
}
_EXAMPLE = {
    "job_id": MESSAGE_ID,
    "job_url": f"http://127.0.0.1:8002/jobs/{MESSAGE_ID}",
    "file_name": "orders.csv",
    "source": "shop",
    "bytes": 1234,
    "repeated": False,
}
_COUNT = {"type": "integer", "minimum": 0}
_NAMES = {"type": ["array", "null"], "items": {"type": "string"}}
_DIAGNOSIS: dict[str, Any] = {
    "file_name": {"type": "string"},
    "bytes": {
        **_COUNT,
        "description": "Of a gzip file, of what it holds; where time was up, those that were read by then.",
    },
    "lines": _COUNT,
    "verdict": {
        "enum": list(VERDICTS),
        "description": "What would become of it, as far as the file alone can tell. `archived`: it has no known header, and its"
        " name does not promise one, or its name ends in `.txt`; it is kept, and nothing of it is loaded. `unknown`: time was up before its end, and what is counted is its first part.",
    },
    "complete": {"type": "boolean", "description": "Whether it was examined to its end."},
    "note": {
        "type": ["string", "null"],
        "description": "Where time was up before its end: how many rows and bytes were examined.",
    },
    "error": {"type": ["string", "null"], "description": "Why it would be refused: a code and a sentence."},
    "kind": {"enum": [*(each.value for each in Entity), None]},
    "is_rejects_file": {
        "type": ["boolean", "null"],
        "description": "Whether it is a rejects file that comes back.",
    },
    "encoding": {"enum": [*(each.value for each in Encoding), None]},
    "encoding_certainty": {
        "enum": [*(each.value for each in Certainty), None],
        "description": "How surely it is known.",
    },
    "separator": {"type": ["string", "null"]},
    "columns": _NAMES,
    "required_columns": _NAMES,
    "optional_columns": _NAMES,
    "rows": {**_COUNT, "description": "Those that were examined."},
    "examined_bytes": {
        **_COUNT,
        "description": "From the beginning of the file to the end of the last row that was examined.",
    },
    "would_load": _COUNT,
    "would_be_rejected": _COUNT,
    "reasons": {
        "type": "object",
        "additionalProperties": _COUNT,
        "description": "How many rows for which reason.",
    },
    "rejects": {
        "type": "array",
        "description": "The first ones.",
        "items": {
            "type": "object",
            "required": ["line", "reason", "message"],
            "properties": {
                "line": {"type": "integer", "minimum": 1},
                "reason": {"enum": [reason.value for reason in Reason]},
                "message": {"type": "string"},
            },
        },
    },
    "repeated_keys_are_complete": {
        "type": "boolean",
        "description": "False where a key that comes again was looked for among the first million only.",
    },
}
_DIAGNOSIS_EXAMPLE = {
    "file_name": "order_items.csv",
    "bytes": 280,
    "lines": 11,
    "verdict": "loaded_with_rejects",
    "complete": True,
    "note": None,
    "error": None,
    "kind": "order_item",
    "is_rejects_file": False,
    "encoding": "utf-8",
    "encoding_certainty": "whole_file",
    "separator": ",",
    "columns": ["order_item_id", "order_id", "product_id", "quantity", "unit_price"],
    "required_columns": ["order_item_id", "order_id", "product_id", "quantity", "unit_price"],
    "optional_columns": ["updated_at"],
    "rows": 10,
    "examined_bytes": 280,
    "would_load": 9,
    "would_be_rejected": 1,
    "reasons": {"negative_amount": 1},
    "rejects": [{"line": 5, "reason": "negative_amount", "message": "quantity must not be below zero."}],
    "repeated_keys_are_complete": True,
}
_RETRY_AFTER = {
    "headers": {
        "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."}
    }
}


def upload_body(max_bytes: int) -> dict[str, Any]:
    """OpenAPI's requestBody."""
    return {
        "required": True,
        "description": f"The file, byte for byte, {max_bytes} bytes at most.",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in FILE_TYPES},
    }


def upload_responses() -> dict[int | str, dict[str, Any]]:
    """OpenAPI's responses."""
    accepted = {"type": "object", "required": list(_MEMBERS), "properties": _MEMBERS}
    taken = described("The file is durably stored and has its job.", accepted, JSON_TYPE, _EXAMPLE)
    diagnosis = {"type": "object", "required": list(_DIAGNOSIS), "properties": _DIAGNOSIS}
    return {
        200: described(
            "Of a dry run: what would become of the file, also where it would be refused. Nothing was loaded or kept.",
            diagnosis,
            JSON_TYPE,
            _DIAGNOSIS_EXAMPLE,
        ),
        202: {
            **taken,
            "headers": {"Location": {"schema": {"type": "string"}, "description": "The same as `job_url`."}},
        },
        404: described("This door takes no files.", PROBLEM),
        408: described("The body came too slowly, or paused for too long.", PROBLEM),
        409: described("The same file is being sent under this Idempotency-Key right now.", PROBLEM),
        413: described("The file has too many bytes.", PROBLEM),
        415: described(f"The Content-Type is none of {', '.join(FILE_TYPES)}.", PROBLEM),
        422: described(
            "A parameter is wrong, the body is empty, or the Idempotency-Key came with other bytes before.",
            {"anyOf": [PARAMETER_PROBLEM, PROBLEM]},
        ),
        503: {
            **described(
                "The folder is out of reach, or too many files are being sent or examined at once.", PROBLEM
            ),
            **_RETRY_AFTER,
        },
        507: {**described("There is no space for the file.", PROBLEM), **_RETRY_AFTER},
    }
