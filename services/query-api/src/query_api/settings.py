"""The variables of query-api."""

from pydantic import Field, SecretStr

from tillstream.settings import CommaSeparated, Port, ServiceSettings


class QuerySettings(ServiceSettings):
    """The database is reached as `tillstream_reader`, a role that can only read views."""

    ops_port: Port = Field(
        default=9102,
        description="Port of `/metrics`, `/health/live` and `/health/ready`; 0 takes any free one.",
    )
    query_port: Port = Field(default=8002, description="Port of the HTTP API; 0 takes any free one.")
    database_url: SecretStr = Field(description="Connection string of the role `tillstream_reader`.")
    query_connections: int = Field(
        default=8, ge=1, le=100, description="How many questions the database is asked at a time."
    )
    query_timeout_ms: int = Field(
        default=10_000, ge=10, le=600_000, description="Milliseconds after which PostgreSQL ends a question."
    )
    query_wait_ms: int = Field(
        default=2_000, ge=10, le=60_000, description="Milliseconds that a question waits for a connection."
    )
    cors_origins: CommaSeparated = Field(
        default=(),
        description="Origins whose pages may call the API from a browser, separated by commas; none by default.",
    )
