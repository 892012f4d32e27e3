"""What the figures were measured on, and how fast it was just then: these machines are shared, and their speed drifts."""

import os
import platform
import time
from pathlib import Path

ADDITIONS = 3_000_000


def calibration_s() -> float:
    """Seconds for three million additions in a loop: a figure beside every other one."""
    began = time.perf_counter()
    total = 0
    for number in range(ADDITIONS):
        total += number
    return time.perf_counter() - began


def description() -> str:
    """One line."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"
