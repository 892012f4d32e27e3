"""The parameters of a request that has them in the plainest form; FastAPI reads all others, and says what is wrong."""

import re
from typing import NamedTuple

from starlette.types import Scope

from ingest_api.parameters import IDEMPOTENCY_HEADER, KEY_PATTERN, SOURCE_HEADER, SOURCE_PATTERN
from ingest_api.read_body import JSON_TYPE, NDJSON_TYPE
from ingest_api.room import Client
from tillstream.contracts.entities import Entity
from tillstream.contracts.envelope import DEFAULT_SOURCE

_KINDS = {
    f"{kind}{charset}".encode(): kind
    for kind in (JSON_TYPE, NDJSON_TYPE)
    for charset in ("", "; charset=utf-8")
}
_SOURCE_NAME = SOURCE_HEADER.lower().encode()
_KEY_NAME = IDEMPOTENCY_HEADER.lower().encode()
_is_source = re.compile(SOURCE_PATTERN.encode()).fullmatch
_is_key = re.compile(KEY_PATTERN.encode()).fullmatch


class Incoming(NamedTuple):
    """What is known of a request before its body is read. `kind` is JSON_TYPE or NDJSON_TYPE."""

    entity: Entity
    client: Client
    source: str
    kind: str
    idempotency_key: str | None


def address_of(scope: Scope) -> str:
    """The address of the other end, without its port; of a proxy where there is one."""
    client = scope.get("client")
    return client[0] if client else ""


def plain_parameters(entity: Entity, scope: Scope) -> Incoming | None:
    """None where there is a query, a header comes twice, or one that counts here is not of its plain form."""
    named: dict[bytes, bytes] = dict(scope["headers"])
    kind = _KINDS.get(named.get(b"content-type", b""))
    if kind is None or scope["query_string"] or len(named) < len(scope["headers"]):
        return None
    if b"content-encoding" in named:
        return None
    source, key = named.get(_SOURCE_NAME), named.get(_KEY_NAME)
    if (source is not None and not _is_source(source)) or (key is not None and not _is_key(key)):
        return None
    return Incoming(
        entity,
        Client(address_of(scope), "" if source is None else source.decode()),
        DEFAULT_SOURCE if source is None else source.decode(),
        kind,
        None if key is None else key.decode(),
    )
