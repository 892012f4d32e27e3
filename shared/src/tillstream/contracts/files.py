"""A file job: what file-watcher and the upload door say about a claimed file, on `shop.files.v1`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, NotRequired, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    with_config,
)

from tillstream.contracts.encodings import DeclaredEncoding, Encoding
from tillstream.contracts.entities import Entity
from tillstream.contracts.file_names import MAX_NAME_BYTES, MAX_STORED_NAME_BYTES, name_problem
from tillstream.contracts.ids import read_uuid
from tillstream.contracts.messages import Refusal
from tillstream.contracts.parsing import dump_json, parse_json
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import refusal_of
from tillstream.contracts.rules import Quantity, Refused, Rules, Text, UpdateMoment, broken
from tillstream.errors import MalformedJson

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class FileJob:
    """One claimed file. `stored_name` is its name in `work/`, `file_name` the one it was dropped under.

    `as_of` is the moment which its rows describe, if the partner said so: the version of a row without `updated_at`, whose
    rule it keeps. `kind` is what the name promises, a hint. `encoding` is what somebody declared: it counts where the file does not
    prove another one. With a `refusal` nothing is to be read: the file lies in `error/`, and this is why.
    """

    job_id: UUID
    file_name: str
    stored_name: str
    source: str
    claimed_at: datetime
    bytes: int
    as_of: datetime | None = None
    kind: Entity | None = None
    encoding: Encoding | None = None
    refusal: str | None = None


def _plain_name(max_bytes: int) -> AfterValidator:
    def check(name: str) -> str:
        problem = name_problem(name, max_bytes)
        if problem is not None:
            raise broken(Reason.INVALID_TEXT, f"must be a plain file name: {problem}")
        return name

    return AfterValidator(check)


def _canonical(text: str) -> str:
    if read_uuid(text) is None:
        raise broken(Reason.INVALID_ID, "must be a UUID")
    return text


@with_config(ConfigDict(extra="forbid", strict=True))
class _JobRecord(TypedDict):
    job_id: Annotated[Text, AfterValidator(_canonical)]
    file_name: Annotated[Text, _plain_name(MAX_NAME_BYTES)]
    stored_name: Annotated[Text, _plain_name(MAX_STORED_NAME_BYTES)]
    source: Text
    claimed_at: UpdateMoment
    bytes: Quantity
    as_of: NotRequired[UpdateMoment]
    kind: NotRequired[
        Annotated[Entity, Field(strict=False), Refused(Reason.INVALID_RECORD, "must be a kind of record")]
    ]
    encoding: NotRequired[DeclaredEncoding]
    refusal: NotRequired[Text]


_JOB = TypeAdapter(_JobRecord)
_AS_OF: TypeAdapter[datetime] = TypeAdapter(UpdateMoment)


def job_key(job_id: UUID) -> bytes:
    """The key of the job's Kafka record."""
    return str(job_id).encode()


def read_as_of(value: object, rules: Rules) -> datetime | str:
    """The moment that somebody declared for a file, in UTC; or the rule that it breaks, to go on after the field's name."""
    try:
        return _AS_OF.validate_python(value, context=rules)
    except ValidationError as error:
        return str(error.errors(include_url=False, include_input=False)[0]["msg"])


def job_to_json(job: FileJob) -> bytes:
    """The value of the job's Kafka record."""
    fields = {name: getattr(job, name) for name in _JobRecord.__annotations__}
    return dump_json({name: value for name, value in fields.items() if value is not None})


def read_job(value: bytes | None, appended_at: datetime) -> FileJob | Refusal:
    """The job in a Kafka record that was appended at `appended_at`. Never raises: a refusal instead."""
    try:
        fields = _JOB.validate_python(parse_json(value or b""), context=Rules(appended_at, _UTC))
    except MalformedJson as error:
        return Refusal(Reason.MALFORMED_JSON, str(error))
    except ValidationError as error:
        return refusal_of(error)
    return FileJob(
        job_id=UUID(fields["job_id"]),
        file_name=fields["file_name"],
        stored_name=fields["stored_name"],
        source=fields["source"],
        claimed_at=fields["claimed_at"],
        bytes=fields["bytes"],
        as_of=fields.get("as_of"),
        kind=fields.get("kind"),
        encoding=fields.get("encoding"),
        refusal=fields.get("refusal"),
    )
