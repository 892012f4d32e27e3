"""What the file-loader reads from its environment."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from tillstream.apply.engine import DEFAULT_PARKED_FOR
from tillstream.csv.encoding import DECLARABLE, Encoding
from tillstream.csv.packed import DEFAULT_MAX_RATIO, DEFAULT_MAX_TEXT_BYTES
from tillstream.settings import BrokerAddresses, Port, ServiceSettings

FOUR_MIB = 4 * 1024 * 1024


def _declarable(encoding: Encoding) -> Encoding:
    if encoding not in DECLARABLE:
        raise ValueError(f"must be one of {', '.join(DECLARABLE)}: UTF-8 and UTF-16 are found out")
    return encoding


DeclarableEncoding = Annotated[Encoding, AfterValidator(_declarable)]


class LoaderSettings(ServiceSettings):
    ops_port: Port = Field(
        default=9105,
        description="Port of `/metrics`, `/health/live` and `/health/ready`; 0 takes any free one.",
    )
    database_url: SecretStr = Field(description="Connection string of PostgreSQL for role tillstream_worker.")
    kafka_bootstrap: BrokerAddresses = Field(
        default="127.0.0.1:9092", description="Kafka's addresses, `host:port`, separated by commas."
    )
    data_dir: Path = Field(
        description="The directory of input/, work/, processed/, error/, invalid/ and output/."
    )
    parked_for: timedelta = Field(
        default=DEFAULT_PARKED_FOR,
        gt=timedelta(0),
        description="How long a change waits for its parent before it also shows in quarantine; ISO 8601 or seconds.",
    )
    file_chunk_rows: int = Field(
        default=20_000,
        ge=1,
        le=50_000,
        description="Rows in one transaction, at most; of rows that have no plain form, 5,000.",
    )
    file_chunk_bytes: int = Field(
        default=FOUR_MIB, ge=1, description="Bytes of a file after which a transaction takes no further row."
    )
    file_parallel: int = Field(
        default=1,
        ge=1,
        le=8,
        description="Files that are loaded at once; never children beside their parents, nor two of one source and kind.",
    )
    file_settle_s: float = Field(
        default=0.5,
        ge=0,
        description="Seconds that a queued file waits for others, so that users run before orders of the same drop.",
    )
    file_max_text_bytes: int = Field(
        default=DEFAULT_MAX_TEXT_BYTES, ge=1, description="Bytes that a gzip file may hold unpacked."
    )
    file_max_ratio: int = Field(
        default=DEFAULT_MAX_RATIO,
        ge=1,
        description="How many times its own size a gzip file may hold; not asked of what is below 16 MiB unpacked.",
    )
    file_max_rejects: int = Field(
        default=100_000,
        ge=0,
        description="Refused rows after which a file fails: what is loaded stays, the rest is not looked at.",
    )
    file_live_rows: int = Field(
        default=1_000,
        ge=1,
        le=50_000,
        description="Rows in one transaction while ten or more records a second come in live.",
    )
    file_live_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Which share of its time a file works meanwhile; the rest is left to what comes in live.",
    )
    file_pause_at_lag: int = Field(
        default=5_000,
        ge=0,
        description="Records that wait in the stream before files make way between chunks.",
    )
    processed_keep_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that files stay in processed/; none are removed without it.",
    )
    error_keep_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that files of failed jobs stay in error/; none are removed without it.",
    )
    invalid_keep_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that rejects files stay in invalid/, from their newest open entry on; none are removed without it.",
    )
    file_encoding: DeclarableEncoding | None = Field(
        default=None,
        description="Encoding of files that are no UTF-8, have no byte order mark and were declared as nothing else, such as `windows-1252`."
        " Without it their rows with other letters than ASCII are refused: 8-bit encodings cannot be told apart.",
    )
