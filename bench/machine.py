"""What the figures were measured on, and how fast it was just then: these machines are shared, and their speed drifts."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tillstream_native.kafka import POM
from tillstream_native.postgres import find_install
from tillstream_native.tools import find_java

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
    return ", ".join(machine().values())


def machine() -> Mapping[str, str]:
    """Name and value, for the page."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{os.cpu_count()} cores of {_first('/proc/cpuinfo', r'model name\s*: (.*)')}",
        "memory": f"{memory:.0f} GiB",
        "kernel": f"Linux {platform.release()}",
        "Python": f"Python {platform.python_version()}",
        "PostgreSQL": _said(find_install(None, Path()) / "bin" / "postgres", "--version"),
        "Kafka": f"Apache Kafka {_first(POM, r'kafka_2.13</artifactId>\s*<version>(.*)<')}",
        "Java": _said(find_java(), "--version").splitlines()[0],
    }


def _first(path: str | Path, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text())
    return found[1].strip() if found else "unknown"


def _said(program: Path, option: str) -> str:
    return subprocess.run([program, option], capture_output=True, text=True, check=True).stdout.strip()
