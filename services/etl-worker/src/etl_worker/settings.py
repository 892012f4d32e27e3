"""What the etl-worker reads from its environment."""

from datetime import timedelta

from pydantic import Field, SecretStr

from etl_worker.reject_alarm import DEFAULT_RECORDS, DEFAULT_SHARE
from tillstream.apply.engine import DEFAULT_PARKED_FOR
from tillstream.settings import BrokerAddresses, Port, ServiceSettings


class WorkerSettings(ServiceSettings):
    ops_port: Port = Field(
        default=9103,
        description="Port of `/metrics`, `/health/live` and `/health/ready`; 0 takes any free one.",
    )
    database_url: SecretStr = Field(description="Connection string of PostgreSQL for role tillstream_worker.")
    kafka_bootstrap: BrokerAddresses = Field(
        default="127.0.0.1:9092", description="Kafka's addresses, `host:port`, separated by commas."
    )
    batch_records: int = Field(
        default=20_000, ge=1, le=50_000, description="Records in one transaction, at most."
    )
    reject_alarm_share: float = Field(
        default=DEFAULT_SHARE,
        gt=0,
        le=1,
        description="A partition is stopped when more than this share of its last records broke their contract; 1 switches the alarm off.",
    )
    reject_alarm_records: int = Field(
        default=DEFAULT_RECORDS,
        ge=1_000,
        le=1_000_000,
        description="How many of a partition's last records the share is taken of; rounded up to a multiple of ten.",
    )
    parked_for: timedelta = Field(
        default=DEFAULT_PARKED_FOR,
        gt=timedelta(0),
        description="How long a change waits for its parent before it also shows in quarantine; ISO 8601 or seconds.",
    )
