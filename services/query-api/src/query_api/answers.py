"""The answers as the OpenAPI document describes them. They are built from rows; a test holds both together."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

from pydantic import Field, WithJsonSchema

from query_api.parameters import JobStatus
from query_api.parked import MAX_PARENTS
from query_api.quarantine import MAX_SOURCES
from tillstream.contracts.entities import Entity
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import Reason
from tillstream.csv.encoding import Certainty, Encoding

# An exact number literal, never a float on the way: `1329.98`.
Exact = Annotated[Decimal, WithJsonSchema({"type": "number"})]
Count = Annotated[int, Field(ge=0)]
Refusable = Annotated[
    Entity | Literal["file"],
    Field(description="The kind of record; `file` is a file job that could not be read."),
]
Percentage = Annotated[Exact | None, Field(description="Two decimals; null where it would divide by zero.")]


class Health(TypedDict):
    status: Literal["healthy"]
    timestamp: datetime


UnfinishedFiles = Annotated[
    Count | None,
    Field(
        description="File jobs that are queued, running, or still in the log. Null means that it is not known."
    ),
]


class Freshness(TypedDict):
    """How sure the numbers beside it are. Null means that it is not known."""

    status: Literal["current", "behind", "unknown"]
    complete_through: Annotated[
        datetime | None, Field(description="Whatever reached the log up to this moment is in the numbers.")
    ]
    lag_seconds: Exact | None
    lag_records: Count | None
    waiting: Annotated[
        Count, Field(description="Accepted records that no number counts yet: in the log, or parked.")
    ]
    unfinished_files: UnfinishedFiles


class Item(TypedDict):
    product_id: int
    product_name: str
    quantity: Count
    unit_price: Exact
    subtotal: Exact


class Order(TypedDict):
    order_id: int
    order_date: datetime
    status: Literal["pending", "paid", "cancelled", "shipped"]
    total_amount: Exact
    items: list[Item]


class Orders(TypedDict):
    orders: list[Order]
    next_cursor: str | None


class DayRevenue(TypedDict):
    order_day: date
    daily_revenue: Exact
    total_orders: Count


class DailyRevenue(TypedDict):
    daily_revenue: list[DayRevenue]
    freshness: Freshness


class TopProduct(TypedDict):
    product_id: int
    product_name: str
    category: str
    total_units_sold: Count
    total_revenue: Exact


class TopProducts(TypedDict):
    top_products: list[TopProduct]
    freshness: Freshness


class Cohort(TypedDict):
    signup_day: date
    total_signups: Count
    returned_users: Count
    retention_percentage: Exact
    complete: Annotated[bool, Field(description="False until the seventh day after the signup is over.")]


class Retention(TypedDict):
    retention: list[Cohort]
    freshness: Freshness


class Stage(TypedDict):
    stage: Literal["page_view", "add_to_cart", "purchase"]
    count: Count
    conversion_rate_from_previous: Percentage
    conversion_rate_from_start: Percentage


class Funnel(TypedDict):
    funnel: list[Stage]
    freshness: Freshness


class Job(TypedDict):
    """rows = loaded + unchanged + superseded + duplicate + parked + rejected."""

    job_id: UUID
    file_name: str
    source: str
    kind: str | None
    status: JobStatus
    sha256: str | None
    bytes: Count
    rows: Count
    loaded: Count
    unchanged: Count
    superseded: Count
    duplicate: Count
    parked: Count
    rejected: Count
    elapsed_seconds: Exact | None
    rows_per_second: Exact | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    settled_at: datetime | None
    duplicate_of: UUID | None
    encoding: Encoding | None
    encoding_certainty: Annotated[
        Certainty | None,
        Field(description="How the encoding is known; of `assumed`, what does not fit is refused."),
    ]
    percent: Annotated[
        Exact | None, Field(description="How much of the file's bytes is done; null until its kind is known.")
    ]
    eta_seconds: Annotated[
        Exact | None,
        Field(
            description="How long the rest of a running job takes at its pace so far; null until rows are done."
        ),
    ]
    corrects: Annotated[
        list[UUID],
        Field(
            description="Of a rejects file that was dropped back: the jobs in which its rows were refused, 100 at most."
        ),
    ]
    corrected_by: Annotated[
        list[UUID],
        Field(
            description="The jobs that brought refused rows of this one again, whatever became of them, 100 at most."
        ),
    ]


class Jobs(TypedDict):
    jobs: list[Job]
    next_cursor: str | None


class QuarantineEntry(TypedDict):
    id: int
    reason: Reason
    message: str
    source: str
    received_at: datetime
    payload: Annotated[
        str, Field(description="The beginning of what arrived; bytes that are no UTF-8 as \\xff.")
    ]
    payload_bytes: Annotated[Count, Field(description="The length of the whole of it.")]
    entity: Refusable
    field: str | None
    message_id: UUID
    topic: str | None
    partition: int | None
    offset: int | None
    job_id: UUID | None
    line: int | None
    accepted_at: datetime


class Quarantine(TypedDict):
    quarantine: list[QuarantineEntry]
    counts: Annotated[dict[str, Count], Field(description="Open entries by reason.")]
    counts_by_source: Annotated[
        dict[str, dict[str, Count]],
        Field(
            description=f"Open entries by source and reason: the {MAX_SOURCES} sources that have the most, largest first."
        ),
    ]
    next_cursor: str | None
    freshness: Freshness


class Parent(TypedDict):
    entity: Entity
    id: int


class ParkedChange(TypedDict):
    message_id: UUID
    entity: Entity
    waits_for: Parent
    source: str
    topic: str | None
    partition: int | None
    offset: int | None
    job_id: UUID | None
    line: int | None
    accepted_at: datetime
    parked_at: datetime
    expires_at: Annotated[
        datetime,
        Field(
            description="When it is told in quarantine; it is applied all the same if its parent comes later."
        ),
    ]


class MissingParent(TypedDict):
    waits_for: Parent
    waiting: Annotated[Count, Field(description="Changes that wait for it.")]
    since: Annotated[datetime, Field(description="When the first of them was parked.")]


class Parked(TypedDict):
    parked: list[ParkedChange]
    missing: Annotated[
        list[MissingParent],
        Field(
            description=f"The {MAX_PARENTS} parents that the most changes wait for, under the same filters as the page."
        ),
    ]
    next_cursor: str | None
    freshness: Freshness


class Receipt(TypedDict):
    event_id: UUID
    status: OutcomeKind | Literal["unknown"]
    entity: Refusable | None
    reason: Reason | None
    message: str | None
    source: str | None
    topic: str | None
    partition: int | None
    offset: int | None
    job_id: UUID | None
    file_name: str | None
    line: int | None
    accepted_at: datetime | None
    decided_at: datetime | None
    resolved_at: datetime | None
    waits_for: Parent | None


class StoppedPartition(TypedDict):
    partition: int
    stopped_at: datetime
    reason: str | None


class TopicFreshness(TypedDict):
    topic: str
    status: Literal["current", "behind", "unknown"]
    complete_through: datetime | None
    lag_records: Count | None
    lag_seconds: Exact | None
    last_stored_at: datetime | None
    waiting: Annotated[Count, Field(description="In the log and not applied, or parked.")]
    parked: Count
    quarantined: Count
    partitions: Count
    unknown_partitions: Count
    stopped: Annotated[
        list[StoppedPartition],
        Field(
            description="Partitions that the worker leaves alone until `tillstream partitions resume` lets them go on."
        ),
    ]


class FreshnessReport(TypedDict):
    topics: list[TopicFreshness]
    unfinished_files: UnfinishedFiles
    timestamp: datetime


class Problem(TypedDict, total=False):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]]
