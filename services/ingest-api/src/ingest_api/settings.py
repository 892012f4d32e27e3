"""The variables of ingest-api."""

from pydantic import Field

from tillstream.settings import BrokerAddresses, CommaSeparated, Port, ServiceSettings


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
