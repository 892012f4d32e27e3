"""The variables of ingest-api."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from tillstream.folders import DEFAULT_MAX_FILE_BYTES
from tillstream.settings import BrokerAddresses, CommaSeparated, Port, ServiceSettings

WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$")]


class IngestSettings(ServiceSettings):
    """There is no secret among them: ingest-api never touches the database."""

    ops_port: Port = Field(
        default=9101,
        description="Port of `/metrics`, `/health/live` and `/health/ready`; 0 takes any free one.",
    )
    ingest_port: Port = Field(default=8001, description="Port of the HTTP API; 0 takes any free one.")
    kafka_bootstrap: BrokerAddresses = Field(
        default="127.0.0.1:9092", description="Kafka's addresses, `host:port`, separated by commas."
    )
    cors_origins: CommaSeparated = Field(
        default=(),
        description="Origins whose pages may call the API from a browser, separated by commas; none by default.",
    )
    data_dir: Path | None = Field(
        default=None,
        description="The directory of input/, work/, processed/, error/, invalid/ and output/; without it no files are taken.",
    )
    file_max_bytes: int = Field(default=DEFAULT_MAX_FILE_BYTES, ge=1, description="Larger files are refused.")
    query_url: WebAddress = Field(
        default="http://127.0.0.1:8002",
        description="Where clients reach query-api; the address of a file's job begins with it.",
    )
