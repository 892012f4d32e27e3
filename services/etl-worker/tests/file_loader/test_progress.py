"""What the log says of a file that takes long."""

from typing import override
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from etl_worker.file_loader.progress import TELL_EVERY_S, ProgressLog
from tillstream.clock import SystemClock

pytestmark = pytest.mark.unit

JOB_ID = UUID(int=1)


class HeldClock(SystemClock):
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.at = 0.0

    @override
    def monotonic(self) -> float:
        return self.at


def test_a_line_comes_every_ten_seconds_and_counts_from_where_this_attempt_began() -> None:
    clock = HeldClock()
    progress = ProgressLog(JOB_ID, 200, 1_200, clock)
    with capture_logs() as lines:
        progress.committed(10, 250)
        clock.at += TELL_EVERY_S
        progress.committed(90, 450)
        progress.committed(1, 451)
        clock.at += TELL_EVERY_S
        progress.committed(99, 700)
    said = [(line["percent"], line["rows"], line["rows_per_second"], line["eta_seconds"]) for line in lines]
    assert said == [(37.5, 100, 10.0, 30), (58.3, 200, 10.0, 20)]
    assert {line["job_id"] for line in lines} == {str(JOB_ID)}
