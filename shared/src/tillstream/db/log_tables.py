"""The tables about partitions of the log: who reads them how far, and what people decided. Part of `tables`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    PrimaryKeyConstraint,
    SmallInteger,
)
from sqlmodel import Field

from tillstream.db.base import Table
from tillstream.db.columns import big_integer, integer, long_text, moment, one_of, uuid


class ConsumerOffset(Table, table=True):
    """The fence of one partition: who owns it, since which epoch, and what comes next."""

    __tablename__ = "consumer_offsets"
    __table_args__ = (PrimaryKeyConstraint("topic", "kafka_partition"),)
    topic: str = long_text()
    kafka_partition: int = Field(sa_column=Column(SmallInteger, autoincrement=False, nullable=False))
    epoch: int = big_integer(default="0")
    next_offset: int = big_integer(default="0")
    owner: str | None = long_text(nullable=True)
    owner_pid: int | None = integer()
    owner_backend_start: datetime | None = moment(nullable=True)
    cluster_id: str | None = long_text(nullable=True)
    topic_id: UUID | None = uuid(nullable=True)
    last_record_id: str | None = long_text(nullable=True)
    last_record_at: datetime | None = moment(nullable=True)
    updated_at: datetime = moment(default_now=True)


class PartitionProgress(Table, table=True):
    """How far a partition is, for readers; apart from the fence, so that reading never waits for writing."""

    __tablename__ = "partition_progress"
    __table_args__ = (PrimaryKeyConstraint("topic", "kafka_partition"),)
    topic: str = long_text()
    kafka_partition: int = Field(sa_column=Column(SmallInteger, autoincrement=False, nullable=False))
    next_offset: int = big_integer()
    log_end: int = big_integer()
    last_stored_at: datetime | None = moment(nullable=True)
    complete_through: datetime | None = moment(nullable=True)
    measured_at: datetime = moment()
    stopped_at: datetime | None = moment(nullable=True)
    stop_reason: str | None = long_text(nullable=True)


class PartitionDecision(Table, table=True):
    """What a person decided about a partition: to let a stopped one go on, or where to go on in a log that the worker refused."""

    __tablename__ = "partition_decisions"
    __table_args__ = (
        PrimaryKeyConstraint("id"),
        one_of("decision", ("resume", "accept"), "decision"),
    )
    id: int | None = Field(sa_column=Column(BigInteger, Identity(always=True)))
    topic: str = long_text()
    kafka_partition: int = Field(sa_column=Column(SmallInteger, nullable=False))
    decision: str = long_text()
    from_offset: int | None = big_integer(nullable=True)
    to_offset: int | None = big_integer(nullable=True)
    why: str | None = long_text(nullable=True)
    decided_by: str = long_text()
    decided_at: datetime = moment(default_now=True)
