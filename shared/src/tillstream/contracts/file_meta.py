"""What a partner says about dropped files in small ones beside them: `<name>.meta.json` about one, `.defaults.json` about a folder's."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, NotRequired, TypedDict, cast

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError, ValidationInfo, with_config

from tillstream.contracts.encodings import DeclaredEncoding, Encoding
from tillstream.contracts.files import read_as_of
from tillstream.contracts.parsing import nested_deeper_than, parse_json
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import refusal_of
from tillstream.contracts.rules import Rules, Text, UpdateMoment, broken
from tillstream.errors import MalformedJson

META_SUFFIX = ".meta.json"
# Like all names with a dot in front, it is never taken for a file of a partner.
DEFAULTS_NAME = ".defaults.json"
MAX_META_BYTES = 4_096
_DEPTH = 1
# From the year down, in digits only or with the same joint twice; what no day has is no date but a number.
_DATE_IN_NAME = re.compile(r"(?<![0-9])(20[0-9]{2})([-_.]?)([0-9]{2})\2([0-9]{2})(?![0-9])")


def is_meta(name: str) -> bool:
    """Whether this is the name of a meta file, which goes with its file and is never one itself."""
    return name.endswith(META_SUFFIX) and name != META_SUFFIX


@dataclass(frozen=True, slots=True)
class FileMeta:
    """Of a file that has none beside it, all are None."""

    source: str | None = None
    as_of: datetime | None = None
    encoding: Encoding | None = None


class AsOf(StrEnum):
    """Where a folder's files have their moment from, each its own."""

    FILE_NAME_DATE = "file_name_date"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True)
class FolderDefaults:
    """What holds for files that say nothing else themselves."""

    as_of: AsOf | datetime | None = None
    encoding: Encoding | None = None


def _as_of_default(value: object, info: ValidationInfo) -> AsOf | datetime:
    if isinstance(value, str) and value in set(AsOf):
        return AsOf(value)
    moment = read_as_of(value, cast("Rules", info.context))
    if isinstance(moment, str):
        raise broken(Reason.INVALID_TIMESTAMP, f"must be {' or '.join(AsOf)}, or a time; a time {moment}")
    return moment


@with_config(ConfigDict(extra="forbid", strict=True))
class _MetaRecord(TypedDict):
    source: NotRequired[Text]
    as_of: NotRequired[UpdateMoment]
    encoding: NotRequired[DeclaredEncoding]


@with_config(ConfigDict(extra="forbid", strict=True))
class _DefaultsRecord(TypedDict):
    as_of: NotRequired[Annotated[Any, PlainValidator(_as_of_default)]]
    encoding: NotRequired[DeclaredEncoding]


_META = TypeAdapter(_MetaRecord)
_DEFAULTS = TypeAdapter(_DefaultsRecord)


def read_meta(value: bytes, rules: Rules) -> FileMeta | str:
    """What stands in a `<name>.meta.json`, or in a sentence what is wrong with it. Never raises."""
    fields = _checked(_META, value, rules)
    if isinstance(fields, str):
        return fields
    return FileMeta(fields.get("source"), fields.get("as_of"), fields.get("encoding"))


def read_defaults(value: bytes, rules: Rules) -> FolderDefaults | str:
    """The same of a `.defaults.json`."""
    fields = _checked(_DEFAULTS, value, rules)
    return fields if isinstance(fields, str) else FolderDefaults(fields.get("as_of"), fields.get("encoding"))


def as_of_file(default: AsOf | datetime, name: str, modified_ns: int, rules: Rules) -> datetime | str:
    """The moment of one file by its folder's default, or in half a sentence, to go on after "it", why it has none.

    `modified_ns` is when it was last written to, in nanoseconds since 1970. A date is the start of that shop day.
    """
    if isinstance(default, datetime):
        return default
    if default is AsOf.MODIFIED:
        moment = read_as_of(_written_at(modified_ns), rules)
        return (
            moment
            if not isinstance(moment, str)
            else f"has a time of its last change that cannot count: it {moment}"
        )
    dates = dates_in_name(name)
    if len(dates) != 1:
        return (
            "has several dates in its name"
            if dates
            else "has no date such as 2024-01-31 or 20240131 in its name"
        )
    moment = read_as_of(dates.pop(), rules)
    return moment if not isinstance(moment, str) else f"has a date in its name that cannot count: it {moment}"


def dates_in_name(name: str) -> set[str]:
    """The days that a file's name speaks of, in ISO 8601."""
    found = (f"{year}-{month}-{day}" for year, _, month, day in _DATE_IN_NAME.findall(name))
    return {each for each in found if _is_day(each)}


def _checked(record: TypeAdapter[Any], value: bytes, rules: Rules) -> dict[str, Any] | str:
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
        return cast("dict[str, Any]", record.validate_python(item, context=rules))
    except ValidationError as error:
        return refusal_of(error).message


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _written_at(modified_ns: int) -> str | None:
    """None for a time that no calendar has; file systems keep such."""
    try:
        return datetime.fromtimestamp(modified_ns // 1_000 / 1_000_000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
