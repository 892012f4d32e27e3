"""How every id is made: the same input gives the same id at every door and on every attempt."""

import os
import re
import time
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from uuid import UUID, uuid5

NAMESPACE = UUID("6f1c1e0a-3c5b-5d7e-9a42-7411577ea300")
_NANOSECONDS_PER_MILLISECOND = 1_000_000
_RANDOM_BYTES = 10
_UUID_VERSION = 7
ROW_ID_VERSION = 8
_ROW_HASH_BYTES = 5
_LINE_BYTES = 5
_VARIANT_DIGIT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
# Between the parts of a name. No part but an idempotency key may hold a control character (the rule for texts), and
# that key stands between two parts which cannot hold it, so two different lists of parts never give one name.
_SEPARATOR = "\x1f"
_UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch


def read_uuid(text: str) -> UUID | None:
    """A UUID in its canonical textual form (8-4-4-4-12, either case); None for anything else that `UUID` would take."""
    return UUID(text) if _UUID_TEXT(text) else None


def resolve_event_id(source: str, raw: str) -> UUID:
    """A UUID stays; any other id belongs to its source."""
    return read_uuid(raw) or _named("event", source, raw)


def event_ids(source: str, raw: Sequence[str]) -> list[bytes]:
    """The bytes of `resolve_event_id` of each."""
    return [
        bytes.fromhex(each.replace("-", "")) if _UUID_TEXT(each) else _named("event", source, each).bytes
        for each in raw
    ]


def row_event_id(source: str, content_hash: bytes) -> UUID:
    """The id of an event that came in a file without one: the same content of one source is one event."""
    return _named("row-event", source, content_hash.hex())


def row_message_id(job_id: UUID, line: int) -> UUID:
    """The id of the change that one row of a file makes: a UUIDv8 (RFC 9562, 5.8)."""
    return UUID(bytes=row_message_ids(job_id, (line,))[0])


def row_message_ids(job_id: UUID, lines: Iterable[int]) -> list[bytes]:
    """The bytes of those of many rows; `lines` are below 2**40.

    The 48 bits in which a job's own id has its time, 34 of a hash of that id, 40 of the line. So the rows of a file stand beside
    each other in the index of changes, and files in the order of their claims; ids made by a hash would touch a page each.
    """
    digest = blake2b(job_id.bytes, digest_size=_ROW_HASH_BYTES).digest()
    version = (ROW_ID_VERSION << 12 | int.from_bytes(digest[:2]) & 0xFFF).to_bytes(2)
    variant = (0x80 | digest[2] & 0x3F).to_bytes()
    head = job_id.bytes[:6] + version + variant + digest[3:]
    return [head + line.to_bytes(_LINE_BYTES) for line in lines]


def upload_job_id(source: str, idempotency_key: str, file_name: str) -> UUID:
    """The job of a file that was sent under an Idempotency-Key: the same one on every attempt, whoever answers."""
    return _named("upload", source, idempotency_key, file_name)


def request_message_id(route: str, source: str, idempotency_key: str, index: int) -> UUID:
    """The id of one item of a request that may be repeated under its Idempotency-Key. Two sources may use one key."""
    return _named("request", route, source, idempotency_key, str(index))


def place_message_id(topic: str, partition: int, offset: int) -> UUID:
    """The id of a Kafka record that brought none."""
    return uuid5(NAMESPACE, f"{topic}:{partition}:{offset}")


def payload_message_id(topic: str, payload_hash: bytes) -> UUID:
    """The id of a Kafka record that nobody can read: sent again, it is the same one."""
    return _named("payload", topic, payload_hash.hex())


def new_id() -> UUID:
    """A UUIDv7: sorts by the millisecond in which it was made; the rest is random."""
    milliseconds = time.time_ns() // _NANOSECONDS_PER_MILLISECOND
    value = int.from_bytes(milliseconds.to_bytes(6) + os.urandom(_RANDOM_BYTES))
    value = value & ~(0xF << 76) | _UUID_VERSION << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def new_ids(count: int) -> list[str]:
    """The texts of `count` new UUIDv7s of one moment, ascending; six times as fast as `new_id` one by one."""
    milliseconds = f"{time.time_ns() // _NANOSECONDS_PER_MILLISECOND:012x}"
    head = f"{milliseconds[:8]}-{milliseconds[8:]}-{_UUID_VERSION}"
    random = os.urandom(_RANDOM_BYTES * count).hex()
    made = [
        f"{head}{random[at : at + 3]}-{_VARIANT_DIGIT[random[at + 3]]}{random[at + 4 : at + 7]}-{random[at + 7 : at + 19]}"
        for at in range(0, len(random), 2 * _RANDOM_BYTES)
    ]
    made.sort()
    return made


def _named(*parts: str) -> UUID:
    return uuid5(NAMESPACE, _SEPARATOR.join(parts))
