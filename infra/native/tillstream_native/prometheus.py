"""Prometheus beside the native stack: what it reads in a container, with the addresses of this machine."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tillstream_native import web
from tillstream_native.places import PROMETHEUS
from tillstream_native.processes import Program
from tillstream_native.system import LOCALHOST, CannotRun

SOURCE = Path(__file__).parents[2] / "prometheus"
KEPT_FOR = "15d"  # both as in compose.yaml
KEPT_BYTES = "1GB"  # about 1,100 series each 5 s are 30 MB a day, so twice what comes in that time
STOP_WITHIN_S = 30
HTTP_OK = 200
DISCOVERIES = ("static_configs", "dns_sd_configs")


def find_program(name: str, cache: Path) -> Path | None:
    """`prometheus` or `promtool`: on the path, or where `make fetch-prometheus` has put it."""
    if found := shutil.which(name):
        return Path(found)
    fetched = cache / "prometheus" / "usr" / "bin" / name
    return fetched if fetched.exists() else None


def require_program(cache: Path) -> Path:
    """Raises CannotRun with what one can do about it."""
    found = find_program("prometheus", cache)
    if found is None:
        raise CannotRun(
            "PROMETHEUS=1 needs the program `prometheus`, and there is none: install Debian's package of that name, or "
            "have `make fetch-prometheus` put it into the cache, or leave PROMETHEUS=1 out."
        )
    return found


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One Prometheus in one folder. `targets` are the ops ports by the name of the job."""

    place: Path
    binary: Path
    port: int
    targets: Mapping[str, int]

    @property
    def config(self) -> Path:
        return self.place / "prometheus.yml"

    def program(self) -> Program:
        return Program(
            name=PROMETHEUS,
            command=(
                str(self.binary),
                f"--config.file={self.config}",
                f"--storage.tsdb.path={self.place / 'data'}",
                f"--storage.tsdb.retention.time={KEPT_FOR}",
                f"--storage.tsdb.retention.size={KEPT_BYTES}",
                f"--web.listen-address={LOCALHOST}:{self.port}",
            ),
            directory=self.place,
            ports=(self.port,),
            stop_within_s=STOP_WITHIN_S,
        )

    def configure(self) -> None:
        """Write the configuration; it holds from the next start on. The rules are read where they lie."""
        self.place.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = yaml.safe_load((SOURCE / "prometheus.yml").read_text(encoding="utf-8"))
        content["rule_files"] = [str(SOURCE / each) for each in content["rule_files"]]
        for job in content["scrape_configs"]:
            self._put_target(job)
        self.config.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def ready(self) -> bool:
        try:
            status, _ = web.get(self.port, "/-/ready")
        except OSError:
            return False
        return status == HTTP_OK

    def _put_target(self, job: dict[str, Any]) -> None:
        for each in DISCOVERIES:
            job.pop(each, None)
        port = {**self.targets, PROMETHEUS: self.port}[job["job_name"]]
        job["static_configs"] = [{"targets": [f"{LOCALHOST}:{port}"]}]
