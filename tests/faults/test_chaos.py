"""The short run of `make chaos`: every kind of fault once, in an order that is new each time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.fault, pytest.mark.e2e, pytest.mark.timeout(420)]

ROOT = Path(__file__).parents[2]
EVENTS = 6_000
ENDS_WITHIN_S = 360


def test_nothing_is_lost_or_doubled_whatever_breaks() -> None:
    path = os.pathsep.join(str(ROOT / folder) for folder in ("infra/native", "tests"))
    done = subprocess.run(
        [sys.executable, "-m", "faults", "chaos", "--events", str(EVENTS), "--faults", "0"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "lost = 0, doubled = 0" in done.stdout.splitlines()
