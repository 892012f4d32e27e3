"""Where the shop is, as the environment of Airflow says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tillstream_dags.errors import Refused

INGEST_URL = "TILLSTREAM_INGEST_URL"
QUERY_URL = "TILLSTREAM_QUERY_URL"
DATA_DIR = "TILLSTREAM_DATA_DIR"


@dataclass(frozen=True, slots=True)
class Shop:
    """The two doors, and the folder that has `raw/` (read) and `output/` (written)."""

    ingest_url: str
    query_url: str
    data_dir: Path

    @property
    def raw(self) -> Path:
        return self.data_dir / "raw"

    @property
    def output(self) -> Path:
        return self.data_dir / "output"


def shop_of(environment: Mapping[str, str]) -> Shop:
    """Raises Refused, naming what is not set."""
    missing = [name for name in (INGEST_URL, QUERY_URL, DATA_DIR) if not environment.get(name)]
    if missing:
        raise Refused(f"Not set in the environment of Airflow: {', '.join(missing)}.")
    return Shop(
        ingest_url=environment[INGEST_URL].rstrip("/"),
        query_url=environment[QUERY_URL].rstrip("/"),
        data_dir=Path(environment[DATA_DIR]),
    )
