"""What the file-watcher reads from its environment."""

from pathlib import Path

from pydantic import Field

from tillstream.folders import DEFAULT_MAX_FILE_BYTES
from tillstream.settings import BrokerAddresses, Port, ServiceSettings


class WatcherSettings(ServiceSettings):
    ops_port: Port = Field(
        default=9104,
        description="Port of `/metrics`, `/health/live` and `/health/ready`; 0 takes any free one.",
    )
    kafka_bootstrap: BrokerAddresses = Field(
        default="127.0.0.1:9092", description="Kafka's addresses, `host:port`, separated by commas."
    )
    data_dir: Path = Field(
        description="The directory of input/, work/, processed/, error/, invalid/ and output/."
    )
    file_source: str = Field(
        default="shop",
        min_length=1,
        description="The source of files that lie in `input/` itself; a sub-folder's name is the source of its files.",
    )
    file_scan_s: float = Field(
        default=1.0, gt=0, description="Seconds between two scans when nothing hints at a file."
    )
    file_stable_s: float = Field(
        default=1.0,
        ge=0,
        description="Seconds for which size and time of a file must not change before it is taken.",
    )
    file_emit_again_s: float = Field(
        default=30.0, gt=0, description="Seconds after which the jobs of all files in `work/` are sent again."
    )
    file_max_bytes: int = Field(
        default=DEFAULT_MAX_FILE_BYTES, ge=1, description="Larger files are refused, unread."
    )
