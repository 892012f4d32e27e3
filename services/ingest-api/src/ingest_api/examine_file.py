"""The process that examines one file for a dry run. `dry_run` starts it, writes one line of JSON, and reads its answer.

It is one of its own, since it keeps a processor busy for as long as it takes, and requests would wait for it by turns.
"""

import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from threading import Thread
from typing import Any, Self
from zoneinfo import ZoneInfo

from tillstream.contracts.parsing import dump_json, parse_json
from tillstream.csv.diagnosis import diagnosis
from tillstream.csv.doctor import Terms, examine
from tillstream.csv.encoding import Encoding

MODULE = "ingest_api.examine_file"
# Whoever serves requests goes first.
NICENESS = 10
EXIT_ALONE = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be examined: an open file, which is read from its beginning, and under which terms."""

    handle: int
    file_name: str
    accepted_at: str
    shop_timezone: str
    encoding: str | None
    report_ms: int

    def line(self) -> bytes:
        return dump_json(asdict(self)) + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Self:
        fields: dict[str, Any] = parse_json(line)
        return cls(**fields)

    def terms(self, began: float) -> Terms:
        half_s = self.report_ms / 2_000
        return Terms(
            accepted_at=datetime.fromisoformat(self.accepted_at),
            shop_timezone=ZoneInfo(self.shop_timezone),
            declared=Encoding(self.encoding) if self.encoding is not None else None,
            is_time_up=lambda: time.monotonic() >= began + 2 * half_s,
            is_half_up=lambda: time.monotonic() >= began + half_s,
        )


def main() -> None:
    """Writes the diagnosis as JSON. Raises OSError where the file cannot be read."""
    began = time.monotonic()
    os.nice(NICENESS)
    order = Order.read(sys.stdin.buffer.readline())
    Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(order.handle, "rb") as file:
        report = examine(file, order.file_name, order.terms(began))
    sys.stdout.buffer.write(dump_json(diagnosis(order.file_name, report)))
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    """The other end is closed when the parent is gone, be it by SIGKILL: the disk has its space back at once."""
    while os.read(0, 1):  # unbuffered: a lock that is held at the end of the program would abort it
        continue
    os._exit(EXIT_ALONE)


if __name__ == "__main__":
    main()
