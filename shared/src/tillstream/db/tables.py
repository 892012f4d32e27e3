"""The tables, declared. Alembic brings a database here and a catalogue test compares the two.

All of them live in schema `shop`; readers see the views of schema `api` only. `version` columns hold the 40 sortable
bytes of `tillstream.contracts.messages.pack_version`; times are `timestamptz`; amounts are exact.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Identity,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from tillstream.contracts.rules import EVENT_TYPES, ORDER_STATUSES
from tillstream.db.base import SCHEMA, Table
from tillstream.db.columns import big_integer, integer, long_text, moment, money, one_of, raw_bytes, uuid
from tillstream.db.log_tables import ConsumerOffset, PartitionDecision, PartitionProgress

__all__ = [
    "ACCEPTED_OUTCOMES",
    "JOB_STATUSES",
    "SCHEMA",
    "Change",
    "ConsumerOffset",
    "Event",
    "FileJob",
    "FileJobCorrection",
    "Order",
    "OrderItem",
    "Parked",
    "PartitionDecision",
    "PartitionProgress",
    "Product",
    "Quarantine",
    "ReplayRequest",
    "Setting",
    "Table",
    "User",
]

ACCEPTED_OUTCOMES = ("stored", "unchanged", "superseded")
_KIND, _QUEUED = text("coalesce(kind, '')"), text("status = 'queued'")
_LATE = text("late_rejects <> late_rejects_written")
JOB_STATUSES = ("queued", "running", "loaded", "loaded_with_rejects", "duplicate", "archived", "failed")


class User(Table, table=True):
    __tablename__ = "users"
    # Deferrable, so that two users may swap addresses in one batch.
    __table_args__ = (
        PrimaryKeyConstraint("user_id"),
        UniqueConstraint("email_key", deferrable=True, initially="DEFERRED"),
        CheckConstraint("user_id >= 1", name="user_id"),
        Index(None, "signup_date"),
    )
    user_id: int = big_integer()
    name: str = long_text()
    email: str = long_text()
    email_key: str = Field(sa_column=Column(Text, Computed("lower(email)", persisted=True), nullable=False))
    signup_date: datetime = moment()
    version: bytes = raw_bytes()
    stored_at: datetime = moment(default_now=True)


class Product(Table, table=True):
    __tablename__ = "products"
    __table_args__ = (
        PrimaryKeyConstraint("product_id"),
        CheckConstraint("product_id >= 1", name="product_id"),
        CheckConstraint("price >= 0", name="price"),
    )
    product_id: int = big_integer()
    product_name: str = long_text()
    category: str = long_text()
    price: Decimal = money()
    version: bytes = raw_bytes()
    stored_at: datetime = moment(default_now=True)


class Order(Table, table=True):
    """`items_version` is the version of the newest *set* of items, apart from that of the order's own fields."""

    __tablename__ = "orders"
    __table_args__ = (
        PrimaryKeyConstraint("order_id"),
        ForeignKeyConstraint(["user_id"], [f"{SCHEMA}.users.user_id"]),
        CheckConstraint("order_id >= 1", name="order_id"),
        CheckConstraint("total_amount >= 0", name="total_amount"),
        one_of("status", ORDER_STATUSES, "status"),
        Index("orders_by_user", "user_id", text("order_date DESC"), text("order_id DESC")),
        Index("orders_newest_first", text("order_date DESC"), text("order_id DESC")),
    )
    order_id: int = big_integer()
    user_id: int = big_integer()
    order_date: datetime = moment()
    status: str = long_text()
    total_amount: Decimal = money()
    version: bytes = raw_bytes()
    items_version: bytes | None = raw_bytes(nullable=True)
    stored_at: datetime = moment(default_now=True)


class OrderItem(Table, table=True):
    __tablename__ = "order_items"
    __table_args__ = (
        PrimaryKeyConstraint("order_id", "order_item_id"),
        ForeignKeyConstraint(["order_id"], [f"{SCHEMA}.orders.order_id"]),
        ForeignKeyConstraint(["product_id"], [f"{SCHEMA}.products.product_id"]),
        CheckConstraint("order_item_id >= 1", name="order_item_id"),
        CheckConstraint("quantity >= 0", name="quantity"),
        CheckConstraint("unit_price >= 0", name="unit_price"),
        Index(None, "product_id"),
    )
    order_id: int = big_integer()
    order_item_id: int = big_integer()
    product_id: int = big_integer()
    quantity: int = big_integer()
    unit_price: Decimal = money()
    version: bytes = raw_bytes()
    stored_at: datetime = moment(default_now=True)


class Event(Table, table=True):
    """Its foreign keys are declared NOT ENFORCED (a migration adds them) and checked by the join of the insert:
    enforced they halve the rate of the load."""

    __tablename__ = "events"
    __table_args__ = (
        PrimaryKeyConstraint("event_id"),
        one_of("event_type", EVENT_TYPES, "event_type"),
        Index(None, "user_id", "event_timestamp"),
        Index("events_event_timestamp_brin", "event_timestamp", postgresql_using="brin"),
    )
    event_id: UUID = uuid()
    user_id: int = big_integer()
    event_type: str = long_text()
    product_id: int | None = big_integer(nullable=True)
    event_timestamp: datetime = moment()
    source: str = long_text()
    accepted_at: datetime = moment()
    kafka_partition: int | None = Field(sa_column=Column(SmallInteger, nullable=True))
    kafka_offset: int | None = big_integer(nullable=True)
    job_id: UUID | None = uuid(nullable=True)
    line: int | None = big_integer(nullable=True)
    stored_at: datetime = moment(default_now=True)


class Change(Table, table=True):
    """One row per message of an entity other than events: what became of it."""

    __tablename__ = "changes"
    __table_args__ = (
        PrimaryKeyConstraint("message_id"),
        one_of("outcome", (*ACCEPTED_OUTCOMES, "parked", "quarantined"), "outcome"),
        Index("changes_job_key", "job_id", "entity", "key", postgresql_where=text("job_id IS NOT NULL")),
    )
    message_id: UUID = uuid()
    entity: str = long_text()
    key: int | None = big_integer(nullable=True)
    parent_key: int | None = big_integer(nullable=True)
    version: bytes = raw_bytes()
    content_hash: bytes = raw_bytes()
    outcome: str = long_text()
    reason: str | None = long_text(nullable=True)
    source: str = long_text()
    topic: str | None = long_text(nullable=True)
    kafka_partition: int | None = Field(sa_column=Column(SmallInteger, nullable=True))
    kafka_offset: int | None = big_integer(nullable=True)
    job_id: UUID | None = uuid(nullable=True)
    line: int | None = big_integer(nullable=True)
    accepted_at: datetime = moment()
    applied_at: datetime = moment(default_now=True)


class Parked(Table, table=True):
    """Waits for one parent; there is one row per message, whatever it lacks.

    `payload` is what arrived, `content` the checked record as canonical JSON, from which it is applied later.
    """

    __tablename__ = "parked"
    __table_args__ = (
        PrimaryKeyConstraint("message_id"),
        one_of("waits_for", ("user", "product", "order"), "waits_for"),
        Index(None, "waits_for", "waits_key", "message_id"),
        Index(None, "expires_at"),
        Index(None, "entity"),
    )
    message_id: UUID = uuid()
    entity: str = long_text()
    waits_for: str = long_text()
    waits_key: int = big_integer()
    version: bytes = raw_bytes()
    content_hash: bytes = raw_bytes()
    payload: bytes = raw_bytes()
    content: bytes = raw_bytes()
    source: str = long_text()
    topic: str | None = long_text(nullable=True)
    kafka_partition: int | None = Field(sa_column=Column(SmallInteger, nullable=True))
    kafka_offset: int | None = big_integer(nullable=True)
    job_id: UUID | None = uuid(nullable=True)
    line: int | None = big_integer(nullable=True)
    accepted_at: datetime = moment()
    parked_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()


class Quarantine(Table, table=True):
    """Everything refused after a door accepted it, byte for byte. Open while `resolved_at` is null.

    `waits_for`/`waits_key` are set where a parked message ran out of time: it still wakes if the parent comes.
    """

    __tablename__ = "quarantine"
    __table_args__ = (
        PrimaryKeyConstraint("id"),
        UniqueConstraint("message_id", "content_hash"),
        Index(None, "reason", "id"),
        Index(None, "source", "id"),
        Index("quarantine_job", "job_id", "line", postgresql_where=text("job_id IS NOT NULL")),
        Index("quarantine_open", "id", postgresql_where=text("resolved_at IS NULL")),
        Index(
            "quarantine_counts", "source", "reason", "entity", postgresql_where=text("resolved_at IS NULL")
        ),
        Index(
            "quarantine_waits",
            "waits_for",
            "waits_key",
            "id",
            postgresql_where=text("waits_for IS NOT NULL AND resolved_at IS NULL"),
        ),
    )
    id: int | None = Field(sa_column=Column(BigInteger, Identity(always=True)))
    message_id: UUID = uuid()
    content_hash: bytes = raw_bytes()
    entity: str = long_text()
    reason: str = long_text()
    field: str | None = long_text(nullable=True)
    message: str = long_text()
    version: bytes = raw_bytes()
    payload: bytes = raw_bytes()
    content: bytes | None = raw_bytes(nullable=True)
    source: str = long_text()
    topic: str | None = long_text(nullable=True)
    kafka_partition: int | None = Field(sa_column=Column(SmallInteger, nullable=True))
    kafka_offset: int | None = big_integer(nullable=True)
    job_id: UUID | None = uuid(nullable=True)
    line: int | None = big_integer(nullable=True)
    accepted_at: datetime = moment()
    received_at: datetime = moment(default_now=True)
    waits_for: str | None = long_text(nullable=True)
    waits_key: int | None = big_integer(nullable=True)
    resolved_at: datetime | None = moment(nullable=True)
    resolution: str | None = long_text(nullable=True)


class ReplayRequest(Table, table=True):
    """A wish to apply a quarantined message again, with `payload` instead of its own where that is set."""

    __tablename__ = "replay_requests"
    __table_args__ = (
        PrimaryKeyConstraint("id"),
        ForeignKeyConstraint(["quarantine_id"], [f"{SCHEMA}.quarantine.id"]),
        Index("replay_requests_open", "id", postgresql_where=text("applied_at IS NULL")),
        Index(None, "quarantine_id", "id"),
    )
    id: int | None = Field(sa_column=Column(BigInteger, Identity(always=True)))
    quarantine_id: int = big_integer()
    payload: bytes | None = raw_bytes(nullable=True)
    requested_by: str = long_text()
    requested_at: datetime = moment(default_now=True)
    applied_at: datetime | None = moment(nullable=True)
    outcome: str | None = long_text(nullable=True)
    reason: str | None = long_text(nullable=True)


class FileJob(Table, table=True):
    """One dropped or uploaded file and its statement. `lease_epoch` fences the process that loads it.

    `late_rejects` counts how often rows became rejects after they had waited; where `late_rejects_written` differs, the
    rejects file on the disk lacks some.
    """

    __tablename__ = "file_jobs"
    __table_args__ = (
        PrimaryKeyConstraint("job_id"),
        one_of("status", JOB_STATUSES, "status"),
        CheckConstraint(
            "rows = loaded + unchanged + superseded + duplicate + parked + rejected", name="statement"
        ),
        CheckConstraint(
            "least(loaded, unchanged, superseded, duplicate, parked, rejected) >= 0", name="not_negative"
        ),
        Index(None, "status", "created_at"),
        Index("file_jobs_newest_first", text("created_at DESC"), text("job_id DESC")),
        Index("file_jobs_content", "source", "kind", "finished_at"),
        Index("file_jobs_by_name", "file_name", text("created_at DESC"), text("job_id DESC")),
        Index("file_jobs_queue", _KIND, "source", "claimed_at", "job_id", postgresql_where=_QUEUED),
        Index("file_jobs_late_rejects", "job_id", postgresql_where=_LATE),
    )
    job_id: UUID = uuid()
    file_name: str = long_text()
    source: str = long_text()
    kind: str | None = long_text(nullable=True)
    status: str = long_text()
    sha256: str | None = long_text(nullable=True)
    bytes: int = big_integer(default="0")
    as_of: datetime | None = moment(nullable=True)
    claimed_at: datetime = moment()
    lease_epoch: int = big_integer(default="0")
    lease_pid: int | None = integer()
    lease_backend_start: datetime | None = moment(nullable=True)
    next_byte: int = big_integer(default="0")
    next_line: int = big_integer(default="1")
    dialect: dict[str, Any] | None = Field(sa_column=Column(JSONB, nullable=True))
    rows: int = big_integer(default="0")
    loaded: int = big_integer(default="0")
    unchanged: int = big_integer(default="0")
    superseded: int = big_integer(default="0")
    duplicate: int = big_integer(default="0")
    parked: int = big_integer(default="0")
    rejected: int = big_integer(default="0")
    error: str | None = long_text(nullable=True)
    duplicate_of: UUID | None = uuid(nullable=True)
    created_at: datetime = moment(default_now=True)
    started_at: datetime | None = moment(nullable=True)
    finished_at: datetime | None = moment(nullable=True)
    settled_at: datetime | None = moment(nullable=True)
    elapsed_seconds: float | None = Field(sa_column=Column(Numeric(12, 3), nullable=True))
    declared_encoding: str | None = long_text(nullable=True)
    late_rejects: int = big_integer(default="0")
    late_rejects_written: int = big_integer(default="0")


class FileJobCorrection(Table, table=True):
    """A dropped-back rejects file (`job_id`) brought rows again that were refused in another one (`corrects`)."""

    __tablename__ = "file_job_corrections"
    __table_args__ = (
        PrimaryKeyConstraint("job_id", "corrects"),
        ForeignKeyConstraint(["job_id"], [f"{SCHEMA}.file_jobs.job_id"]),
        ForeignKeyConstraint(["corrects"], [f"{SCHEMA}.file_jobs.job_id"]),
        CheckConstraint("corrects <> job_id", name="not_itself"),
        Index(None, "corrects", "job_id"),
    )
    job_id: UUID = uuid()
    corrects: UUID = uuid()


class Setting(Table, table=True):
    """What every service must agree on; written by the migration command."""

    __tablename__ = "settings"
    __table_args__ = (PrimaryKeyConstraint("key"),)
    key: str = long_text()
    value: str = long_text()
    updated_at: datetime = moment(default_now=True)
