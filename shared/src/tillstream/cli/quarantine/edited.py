"""Payloads as people edit them: a line of an export file, or a merge patch."""

import binascii
import re
from base64 import b64decode, b64encode
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from tillstream.cli.quarantine.entries import Entry
from tillstream.contracts.parsing import dump_json, parse_json
from tillstream.contracts.records import MAX_VALUE_BYTES
from tillstream.contracts.rules import MAX_ID
from tillstream.errors import MalformedJson, WrongOption

MAX_LINE_BYTES = 8 * 1024 * 1024  # a payload of 1 MiB in which every character is escaped, and the rest
# C1 controls, and what turns the direction of writing. Within texts, where alone they can stand, JSON has an escape for them.
_UNSHOWN = re.compile(r"[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PAYLOAD, _BYTES = "payload", "payload_base64"
_FIELDS = {"id", "reason", "message", _PAYLOAD, _BYTES}


class Unfit(NamedTuple):
    """Why an entry gets no other payload: the rest of a sentence about it."""

    why: str


NO_OBJECT = Unfit("its payload is not a JSON object, so that a patch does not fit; edit an export")
NOT_KEPT = Unfit(
    "a patch would change more of its payload than it names (a lone surrogate, or nested too deeply); edit an export"
)


def to_line(entry: Entry) -> bytes:
    """One line of an export, without its end: the payload as JSON where that loses nothing, else in base64."""
    head = {"id": entry.id, "reason": entry.reason, "message": entry.message}
    with suppress(MalformedJson):
        value = parse_json(entry.payload)
        if _without_loss(value) is not None:
            return _to_show({**head, _PAYLOAD: value})
    return _to_show({**head, _BYTES: b64encode(entry.payload).decode()})


def _to_show(line: object) -> bytes:
    """JSON in which a terminal finds nothing to obey: it may be looked at before it is edited."""
    text = dump_json(line).decode()
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def read_lines(file: BinaryIO, limit: int) -> dict[int, bytes]:
    """The payload of each entry in an edited export; empty lines are passed over. Raises WrongOption naming the line, also
    for one that is longer than any that `export` writes: no more of it is read."""
    found: dict[int, bytes] = {}
    for number, line in enumerate(iter(partial(file.readline, MAX_LINE_BYTES + 1), b""), start=1):
        if not line.strip():
            continue
        entry_id, payload = _read_line(f"--file, line {number}:", line)
        if entry_id in found:
            raise WrongOption(f"--file, line {number}: entry {entry_id} must not come twice.")
        if len(found) == limit:
            raise WrongOption(f"--file must have at most {limit} entries; --limit sets how many.")
        found[entry_id] = payload
    if not found:
        raise WrongOption("--file must have at least one entry.")
    return found


def read_patch(text: str) -> Any:
    """The JSON merge patch of `--patch`. Raises WrongOption."""
    try:
        patch = parse_json(text.encode("utf-8", "surrogatepass"))
        if not isinstance(patch, dict):
            raise WrongOption("--patch must be a JSON object (a merge patch, RFC 7396).")
        if _without_loss(merged(None, patch)) is None:
            raise WrongOption("--patch must have no lone surrogate, and must not be nested too deeply.")
    except MalformedJson as error:
        raise WrongOption(f"--patch must be JSON: {error}") from None
    except RecursionError:
        raise WrongOption("--patch is nested too deeply.") from None
    return patch


def patched(payload: bytes, patch: Any) -> bytes | Unfit:
    """The payload after a merge patch, in which nothing else is changed; or why there is none."""
    try:
        value = parse_json(payload)
        if not isinstance(value, dict):
            return NO_OBJECT
        return _without_loss(merged(value, patch)) or NOT_KEPT
    except MalformedJson:
        return NO_OBJECT


def is_object(payload: bytes) -> bool:
    """Whether it is a JSON object, as every record is that can be applied."""
    try:
        return isinstance(parse_json(payload), dict)
    except MalformedJson:
        return False


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2: objects are merged, null takes a member away, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def is_same(one: bytes, other: bytes) -> bool:
    """Whether two payloads say the same, however they are spaced."""
    if one == other:
        return True
    try:
        written = _without_loss(parse_json(one))
        return written is not None and written == _without_loss(parse_json(other))
    except MalformedJson:
        return False


def _without_loss(value: Any) -> bytes | None:
    """The JSON text of a value; None where it would say something else: a lone surrogate has no form in UTF-8.

    Also None for what is deeper than anybody reads.
    """
    try:
        text = dump_json(value)
        return text if parse_json(text) == value else None
    except (MalformedJson, RecursionError):
        return None


def _read_line(where: str, line: bytes) -> tuple[int, bytes]:
    if len(line) > MAX_LINE_BYTES:
        raise WrongOption(f"{where} must not be longer than {MAX_LINE_BYTES} bytes.")
    try:
        fields = parse_json(line)
    except MalformedJson as error:
        raise WrongOption(f"{where} must be JSON: {error}") from None
    if not isinstance(fields, dict):
        raise WrongOption(f"{where} must be an object as `export` writes it.")
    if unknown := sorted(fields.keys() - _FIELDS):
        raise WrongOption(f"{where} has a field {unknown[0]!r} that `export` does not write.")
    entry_id = fields.get("id")
    if type(entry_id) is not int or not 1 <= entry_id <= MAX_ID:
        raise WrongOption(f"{where} id must be that of an entry.")
    if (_PAYLOAD in fields) == (_BYTES in fields):
        raise WrongOption(f"{where} must have either {_PAYLOAD} or {_BYTES}.")
    payload = _without_loss(fields[_PAYLOAD]) if _PAYLOAD in fields else _bytes(where, fields[_BYTES])
    if payload is None:
        raise WrongOption(f"{where} {_PAYLOAD} has a lone surrogate or is nested too deeply; use {_BYTES}.")
    if len(payload) > MAX_VALUE_BYTES:
        raise WrongOption(f"{where} the payload must not be larger than {MAX_VALUE_BYTES} bytes.")
    return entry_id, payload


def _bytes(where: str, text: Any) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise WrongOption(f"{where} {_BYTES} must be base64.") from None
