"""The rules for single values, each written once: a type for Pydantic, a reason code and a sentence.

A rule is an annotated type. `Refused` at its end turns every failure of what stands before it into one reason and one
sentence, so that the three doors cannot differ in what they say. Times are read by Python, since their bounds depend
on the moment of acceptance and a bare date on the shop's time zone; both come as the validation context (`Rules`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, cast, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tillstream.contracts.parsing import NumberLexeme
from tillstream.contracts.reasons import Reason
from tillstream.contracts.shop_days import start_of_day

MAX_ID = 2**63 - 1
MAX_TEXT_CHARS = 320
MAX_ITEMS = 1_000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(hours=24)
UPDATE_AHEAD = timedelta(minutes=5)
_DATE_CHARS = 10
_AMOUNT_BOUND = 10**10

AMOUNT_PATTERN = r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,2})?"
TIME_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
_AMOUNT = re.compile(rf"(-?){AMOUNT_PATTERN}").fullmatch
_TIME = re.compile(TIME_PATTERN).fullmatch

_ID_RULE = f"must be a whole number from 1 to {MAX_ID}"
_TEXT_RULE = (
    f"must be a text of 1 to {MAX_TEXT_CHARS} characters without control characters or lone surrogates"
)
_EMAIL_RULE = (
    f"must be an e-mail address of at most {MAX_TEXT_CHARS} characters: exactly one @ with something before it and a"
    " domain with an inner dot after it, no spaces"
)
_QUANTITY_RULE = f"must be a whole number from 0 to {MAX_ID}"
_AMOUNT_RULE = "must be a plain decimal with at most 2 places and at most 10 digits before them"
_BELOW_ZERO_RULE = "must not be below zero"
_TIME_RULE = "must be an ISO 8601 time such as 2024-01-20T10:30:00Z (no offset means UTC, a bare date the start of that shop day)"
_EARLIEST_RULE = "must not be before 2000-01-01"
_AHEAD_RULE = "must not be more than 24 hours after the record was accepted"
_UPDATE_AHEAD_RULE = "must not be more than 5 minutes after the record was accepted"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a check depends on besides the record. `accepted_at` is aware."""

    accepted_at: datetime
    shop_timezone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Refused:
    """An annotation: whatever fails in the type before it has this reason and breaks this rule."""

    reason: Reason
    rule: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type=self.reason.value, custom_error_message=self.rule
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "description": _described(self.rule)}


def broken(reason: Reason, rule: str, **context: str) -> PydanticCustomError:
    """The error a validator of ours raises. `rule` is the rest of a sentence that begins with the field."""
    return PydanticCustomError(reason.value, rule, context)


def _described(rule: str) -> str:
    return f"{rule[0].upper()}{rule[1:]}."


def read_time(value: object, shop_timezone: ZoneInfo) -> datetime | None:
    """The moment that a time in our lexical form means, in UTC; None where it is not in that form or does not exist."""
    if type(value) is not str or _TIME(value) is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if len(value) == _DATE_CHARS:
            return start_of_day(moment.date(), shop_timezone)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # 2024-02-30; 0001-01-01T00:00+14:00
        return None


def _time(ahead: timedelta, ahead_rule: str) -> Callable[[object, ValidationInfo], datetime]:
    def validate(value: object, info: ValidationInfo) -> datetime:
        rules = cast("Rules", info.context)
        moment = read_time(value, rules.shop_timezone)
        if moment is None:
            raise broken(Reason.INVALID_TIMESTAMP, _TIME_RULE)
        if moment < EARLIEST:
            raise broken(Reason.INVALID_TIMESTAMP, _EARLIEST_RULE)
        if moment - rules.accepted_at > ahead:
            raise broken(Reason.INVALID_TIMESTAMP, ahead_rule)
        return moment

    return validate


def _amount(value: object) -> Decimal:
    found = _AMOUNT(_lexeme(value))
    if found is None:
        raise broken(Reason.INVALID_AMOUNT, _AMOUNT_RULE)
    sign, whole, places = found.groups()
    amount = Decimal(f"{whole}{(places or '.'):0<3}")
    if sign and amount:
        raise broken(Reason.NEGATIVE_AMOUNT, _BELOW_ZERO_RULE)
    return amount


def _lexeme(value: object) -> str:
    """How an amount was written; of what cannot be one, the empty text."""
    kind = type(value)
    if kind is str:
        return str(value)
    if isinstance(value, NumberLexeme):
        return value.text
    # By type: a bool is an int to isinstance. The bound spares turning a huge number into text.
    if kind is int and -_AMOUNT_BOUND < value < _AMOUNT_BOUND:  # type: ignore[operator]
        return str(value)
    return ""


def _not_negative(value: int) -> int:
    if value < 0:
        raise broken(Reason.NEGATIVE_AMOUNT, _BELOW_ZERO_RULE)
    return value


def _time_schema(*rules: str) -> WithJsonSchema:
    description = " ".join(_described(rule) for rule in (_TIME_RULE, *rules))
    return WithJsonSchema({"type": "string", "pattern": f"^{TIME_PATTERN}$", "description": description})


_AMOUNT_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": _AMOUNT_BOUND, "multipleOf": 0.01},
        {"type": "string", "pattern": f"^{AMOUNT_PATTERN}$"},
    ],
    "description": f"{_described(_AMOUNT_RULE)} {_described(_BELOW_ZERO_RULE)}",
}

_RawText = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=MAX_TEXT_CHARS, pattern=r"^[^\p{Cc}]+$"),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS}),
]
Id = Annotated[int, Field(strict=True, ge=1, le=MAX_ID), Refused(Reason.INVALID_ID, _ID_RULE)]
Text = Annotated[_RawText, Refused(Reason.INVALID_TEXT, _TEXT_RULE)]
EventId = Annotated[_RawText, Refused(Reason.INVALID_ID, _TEXT_RULE)]
Email = Annotated[
    str,
    StringConstraints(
        strict=True,
        max_length=MAX_TEXT_CHARS,
        pattern=r"^[^@\s\p{Cc}]+@[^@\s\p{Cc}.][^@\s\p{Cc}]*\.[^@\s\p{Cc}]*[^@\s\p{Cc}.]$",
    ),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_TEXT_CHARS,
            "pattern": r"^[^@\s]+@[^@\s.][^@\s]*\.[^@\s]*[^@\s.]$",
        }
    ),
    Refused(Reason.INVALID_EMAIL, _EMAIL_RULE),
]
Quantity = Annotated[
    int,
    Field(strict=True, le=MAX_ID),
    Refused(Reason.INVALID_NUMBER, _QUANTITY_RULE),
    AfterValidator(_not_negative),
    WithJsonSchema(
        {"type": "integer", "minimum": 0, "maximum": MAX_ID, "description": _described(_QUANTITY_RULE)}
    ),
]
Amount = Annotated[Decimal, PlainValidator(_amount), WithJsonSchema(_AMOUNT_SCHEMA)]
Moment = Annotated[
    datetime, PlainValidator(_time(AHEAD, _AHEAD_RULE)), _time_schema(_EARLIEST_RULE, _AHEAD_RULE)
]
UpdateMoment = Annotated[
    datetime,
    PlainValidator(_time(UPDATE_AHEAD, _UPDATE_AHEAD_RULE)),
    _time_schema(_EARLIEST_RULE, _UPDATE_AHEAD_RULE),
]
_Status = Literal["pending", "paid", "cancelled", "shipped"]
EventTypeName = Literal["page_view", "add_to_cart", "purchase"]
ORDER_STATUSES: Final[tuple[str, ...]] = get_args(_Status)
EVENT_TYPES: Final[tuple[str, ...]] = get_args(EventTypeName)
OrderStatus = Annotated[
    _Status, Refused(Reason.INVALID_STATUS, f"must be one of {', '.join(ORDER_STATUSES)}")
]
EventType = Annotated[
    EventTypeName, Refused(Reason.INVALID_EVENT_TYPE, f"must be one of {', '.join(EVENT_TYPES)}")
]

_TEXT_ALONE = TypeAdapter(Text)
_UPDATE_ALONE: TypeAdapter[datetime] = TypeAdapter(UpdateMoment)


def is_text(value: object) -> bool:
    """Whether a value outside a record (a source, an idempotency key) keeps the rule for texts."""
    try:
        _TEXT_ALONE.validate_python(value)
    except ValidationError:
        return False
    return True


def stated_update(item: object, rules: Rules) -> datetime | None:
    """`updated_at` of an item that may be refused for something else, where this field alone is right."""
    if not isinstance(item, dict) or item.get("updated_at") is None:
        return None
    try:
        return _UPDATE_ALONE.validate_python(item["updated_at"], context=rules)
    except ValidationError:
        return None
