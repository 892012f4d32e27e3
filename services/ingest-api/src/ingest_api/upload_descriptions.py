"""What OpenAPI says about POST /ingest/files."""

from typing import Any

from ingest_api.descriptions import PARAMETER_PROBLEM, PROBLEM, described
from ingest_api.examples import MESSAGE_ID
from ingest_api.read_body import JSON_TYPE

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
    return {
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
            **described("The folder is out of reach, or too many files are being sent at once.", PROBLEM),
            **_RETRY_AFTER,
        },
        507: {**described("There is no space for the file.", PROBLEM), **_RETRY_AFTER},
    }
