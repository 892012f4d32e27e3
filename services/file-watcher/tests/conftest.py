"""A data directory, a broker in memory and a clock that moves when told."""

from collections.abc import MutableMapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from file_watcher.app import App, build
from file_watcher.settings import WatcherSettings
from file_watcher.stuck import Obstacle
from tillstream.clock import Clock
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.files import FileJob, read_job
from tillstream.folders import REASON_SUFFIX, Folders
from tillstream.kafka.memory import MemoryBroker, MemoryProducer

STABLE_S = 1.0
ALARM_AFTER_S = 60.0


class HandClock:
    """Stands still between two calls of `move`."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self._monotonic = 100.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class Bench:
    """One watcher on one data directory. Its loops do not run: a test takes the steps itself."""

    def __init__(self, root: Path) -> None:
        self.clock = HandClock()
        self.folders = Folders(root)
        self.folders.create()
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topic(FILES_TOPIC, 3)
        self.max_bytes = 10_000
        self.app = self.start()

    def start(self, clock: Clock | None = None, **changes: Any) -> App:
        """A new process on the same directory and broker."""
        values: dict[str, Any] = {
            "data_dir": self.folders.root,
            "ops_port": 0,
            "file_stable_s": STABLE_S,
            "file_scan_s": 0.01,
            "file_emit_again_s": 30,
            "file_max_bytes": self.max_bytes,
            "file_alarm_after_s": ALARM_AFTER_S,
        }
        settings = WatcherSettings(**values | changes)
        self.app = build(settings, producer=MemoryProducer(self.broker), clock=clock or self.clock)
        return self.app

    def drop(self, name: str | bytes, content: bytes = b"a,b\n1,2\n") -> Path:
        path = self.folders.input / (
            name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
        )
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    async def scan_until_stable(self) -> int:
        """Two scans with the time between them that a file needs; the number of files claimed."""
        before = await self.app.watch.scan_once()
        self.clock.move(STABLE_S)
        return before + await self.app.watch.scan_once()

    def claimed(self) -> dict[str, bytes]:
        """Contents of the files in work/, by the name under which they were dropped."""
        work = self.folders.work
        return {
            name.partition("__")[2]: (work / name).read_bytes() for name in self.folders.claimed().values()
        }

    def refused(self) -> dict[Path, str]:
        """What lies in error/, and the reason beside each; there is nothing else."""
        lying = set(self.folders.error.iterdir())
        files = {path for path in lying if not path.name.endswith(REASON_SUFFIX)}
        reasons = {path: path.with_name(f"{path.name}{REASON_SUFFIX}") for path in files}
        assert lying == files | set(reasons.values())
        return {path: reason.read_text() for path, reason in reasons.items()}

    def stuck(self, obstacle: Obstacle) -> float:
        """What the gauge says."""
        return float(self.app.metrics.files_stuck.labels(obstacle)._value.get())

    def sent(self) -> list[FileJob]:
        """The file jobs in the topic, in the order of their ids."""
        records = [
            record for place in self.broker.places(FILES_TOPIC) for record in self.broker.log(place).records
        ]
        jobs = [read_job(record.value, record.timestamp) for record in records]
        assert all(isinstance(job, FileJob) for job in jobs)
        return sorted((job for job in jobs if isinstance(job, FileJob)), key=lambda job: job.job_id)


def alarms(logs: Sequence[MutableMapping[str, Any]]) -> list[str]:
    """The names of which an alarm told, in order."""
    return [
        str(each.get("file_name") or each.get("folder"))
        for each in logs
        if each["event"].startswith("ALARM") and each["log_level"] == "error"
    ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
