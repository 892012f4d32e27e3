"""What may stand in a query: one model per route, so that an unknown parameter is refused by its name.

Whole numbers and days have one way of being written, as at every other door: Pydantic alone would also take `1_000`, `1.0`
and a day as seconds since 1970.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from query_api.cursors import MAX_CURSOR_CHARS
from tillstream.contracts.reasons import Reason
from tillstream.contracts.rules import MAX_ID, MAX_TEXT_CHARS
from tillstream.http.parameters import Form, Parameters

MAX_PAGE_ROWS = 500
DEFAULT_PAGE_ROWS = 50
MAX_DAYS = 3_650
DEFAULT_TOP_DAYS = 7
DEFAULT_TOP_ROWS = 5
# Nothing in the shop is older than 2000; the bound keeps arithmetic on days within the calendar.
FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(9999, 1, 1)

_is_whole_number = re.compile(r"-?(?:0|[1-9][0-9]{0,18})").fullmatch
_is_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def _plain_number(value: object) -> object:
    if isinstance(value, str) and not _is_whole_number(value):
        raise PydanticCustomError("whole_number", "Input should be a whole number in plain digits")
    return value


def _plain_day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        day = date.fromisoformat(value if _is_day(value) else "")
    except ValueError:
        raise PydanticCustomError(
            "day", "Input should be a day of the calendar written as YYYY-MM-DD"
        ) from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise PydanticCustomError(
            "day_range",
            "Input should be a day from {first} through {last}",
            {"first": FIRST_DAY.isoformat(), "last": LAST_DAY.isoformat()},
        )
    return day


WholeNumber = Annotated[int, BeforeValidator(_plain_number)]
Id = Annotated[WholeNumber, Field(ge=1, le=MAX_ID)]
Limit = Annotated[WholeNumber, Field(ge=1, le=MAX_PAGE_ROWS, description="How many rows at most.")]
Day = Annotated[date, BeforeValidator(_plain_day)]
# What PostgreSQL cannot hold, and what nobody types, is refused here: U+0000 and the other control characters.
Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS),
    Form(r"^[^\x00-\x1f\x7f]+$", "have no control characters, such as a line break or a tab"),
]
CursorText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_CURSOR_CHARS),
    Form(r"^[A-Za-z0-9_-]+$", "be the `next_cursor` of the page before, unchanged"),
    Field(description="`next_cursor` of the page before."),
]


class JobStatus(StrEnum):
    """Where a file job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    LOADED = "loaded"
    LOADED_WITH_REJECTS = "loaded_with_rejects"
    DUPLICATE = "duplicate"
    ARCHIVED = "archived"
    FAILED = "failed"


class ParentKind(StrEnum):
    """What others may wait for."""

    ORDER = "order"
    PRODUCT = "product"
    USER = "user"


class OrdersParameters(Parameters):
    user_id: Id | None = Field(default=None, description="Only the orders of this user.")
    limit: Limit = DEFAULT_PAGE_ROWS
    cursor: CursorText | None = None


class RangeParameters(Parameters):
    first_day: Day | None = Field(default=None, alias="from", description="First shop day of the range.")
    last_day: Day | None = Field(
        default=None, alias="to", description="Last shop day of the range, included."
    )


class TopProductsParameters(Parameters):
    days: Annotated[WholeNumber, Field(ge=1, le=MAX_DAYS)] = Field(
        default=DEFAULT_TOP_DAYS, description="How many shop days, up to and including `as_of`."
    )
    limit: Limit = DEFAULT_TOP_ROWS
    as_of: Day | None = Field(default=None, description="The last of the days; today when it is left out.")


class JobsParameters(Parameters):
    file_name: Text | None = Field(default=None, description="Only files that came under exactly this name.")
    source: Text | None = Field(default=None, description="Only files of this source.")
    status: JobStatus | None = Field(default=None, description="Only jobs that stand there.")
    limit: Limit = DEFAULT_PAGE_ROWS
    cursor: CursorText | None = None


class QuarantineParameters(Parameters):
    reason: Reason | None = Field(default=None, description="Only entries with this reason code.")
    source: Text | None = Field(default=None, description="Only entries of this source.")
    limit: Limit = DEFAULT_PAGE_ROWS
    cursor: CursorText | None = None


class ParkedParameters(Parameters):
    waits_for: ParentKind | None = Field(
        default=None, description="Only what waits for a parent of this kind."
    )
    parent_id: Id | None = Field(default=None, description="Only what waits for a parent of this id.")
    source: Text | None = Field(default=None, description="Only changes of this source.")
    limit: Limit = DEFAULT_PAGE_ROWS
    cursor: CursorText | None = None


class ReceiptParameters(Parameters):
    source: Text = Field(
        default="shop", description="Who gave the id; it matters only where the id is not a UUID."
    )
