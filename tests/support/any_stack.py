"""What an end-to-end test needs of a running shop, whichever way it was brought up."""

import signal
from pathlib import Path
from typing import Protocol


class AnyStack(Protocol):
    """Addresses, the data folder, and a hand on every part by its name."""

    ingest_url: str
    query_url: str
    data_dir: Path

    @property
    def worker_dsn(self) -> str:
        """How one reaches the tables, to look at them."""

    def ops_url(self, service: str) -> str:
        """Where a service serves /metrics and /health."""

    def pid(self, name: str) -> int | None:
        """The process of a part as the machine knows it; None where it does not run."""

    def stop(self, *names: str) -> None:
        """Stop parts in their own way and wait; they stay down until they are started."""

    def start(self, *names: str) -> None:
        """Start parts; they need not be ready yet."""

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a part's process and return its pid; whatever supervises it starts a new one."""

    def wait_ready(self, *services: str, within_s: float = 60) -> None:
        """Wait until services (all five by default) say that they are ready."""
