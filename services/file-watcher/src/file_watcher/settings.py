"""What the file-watcher reads from its environment."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from tillstream.contracts.file_names import is_unfinished
from tillstream.folders import DEFAULT_MAX_FILE_BYTES
from tillstream.settings import BrokerAddresses, Port, ServiceSettings

# Behind the longest file name it still fits into a file system.
_MARKER_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,12}")


def _marker_suffix(value: str) -> str:
    if not _MARKER_SUFFIX.fullmatch(value) or is_unfinished(f"name{value}"):
        raise ValueError(
            f"{value!r} is not a dot with up to 12 letters and digits, or means an unfinished file"
        )
    return value


MarkerSuffix = Annotated[str, AfterValidator(_marker_suffix)]


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
    file_marker: MarkerSuffix | None = Field(
        default=None,
        description="Suffix of marker files, such as `.done`: `orders.csv` is then taken only once `orders.csv.done` lies beside it.",
    )
    file_alarm_after_s: float = Field(
        default=900.0,
        gt=0,
        description="Seconds that a file may go on changing, or wait for its marker, or a marker for its file, before an alarm is raised.",
    )
    file_emit_again_s: float = Field(
        default=30.0,
        gt=0,
        description="Seconds after which the jobs of all files in `work/` are sent again; with more than a hundred files for each of these seconds, correspondingly later.",
    )
    file_max_bytes: int = Field(
        default=DEFAULT_MAX_FILE_BYTES, ge=1, description="Larger files are refused, unread."
    )
