"""What a partner says about a dropped file in a small one beside it: `<name>.meta.json`."""

from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired, TypedDict

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from tillstream.contracts.encodings import DeclaredEncoding, Encoding
from tillstream.contracts.parsing import nested_deeper_than, parse_json
from tillstream.contracts.records import refusal_of
from tillstream.contracts.rules import Rules, Text, UpdateMoment
from tillstream.errors import MalformedJson

META_SUFFIX = ".meta.json"
MAX_META_BYTES = 4_096
_DEPTH = 1


@dataclass(frozen=True, slots=True)
class FileMeta:
    """Of a file that has none beside it, all are None."""

    source: str | None = None
    as_of: datetime | None = None
    encoding: Encoding | None = None


@with_config(ConfigDict(extra="forbid", strict=True))
class _MetaRecord(TypedDict):
    source: NotRequired[Text]
    as_of: NotRequired[UpdateMoment]
    encoding: NotRequired[DeclaredEncoding]


_META = TypeAdapter(_MetaRecord)


def read_meta(value: bytes, rules: Rules) -> FileMeta | str:
    """What stands in it, or in a sentence what is wrong with it. Never raises."""
    if len(value) > MAX_META_BYTES:
        return f"It has more than {MAX_META_BYTES} bytes."
    if nested_deeper_than(value, _DEPTH):
        return "It must be one JSON object with nothing nested in it."
    try:
        item = parse_json(value)
    except MalformedJson as error:
        return str(error)
    if not isinstance(item, dict):
        return "It must be a JSON object."
    try:
        fields = _META.validate_python(item, context=rules)
    except ValidationError as error:
        return refusal_of(error).message
    return FileMeta(fields.get("source"), fields.get("as_of"), fields.get("encoding"))
