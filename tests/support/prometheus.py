"""Prometheus's own programs, which not every machine has: what is there is used, what is not is said."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which

import pytest

from support.kafka import CACHE
from tillstream_native.places import REPOSITORY
from tillstream_native.prometheus import find_program

IMAGE = "prom/prometheus:v3.5.0"
FOLDER = REPOSITORY / "infra" / "prometheus"
IN_IMAGE = "/etc/prometheus"
ANSWERS_WITHIN_S = 60
HOW = "`make fetch-prometheus` or Debian's package of that name brings it"


@dataclass(frozen=True, slots=True)
class Promtool:
    """promtool from this machine, or from the image that the stack runs."""

    name: str
    command: tuple[str, ...]
    folder: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it; `{}` in an argument becomes the folder of `prometheus.yml` as it sees it."""
        told = [each.replace("{}", self.folder) for each in arguments]
        return subprocess.run(
            [*self.command, *told], capture_output=True, text=True, timeout=ANSWERS_WITHIN_S, check=False
        )


def find_promtool(folder: Path = FOLDER) -> Promtool | None:
    """The one of this machine, or else the image's, with `folder` in its reach. Nothing is pulled."""
    if found := find_program("promtool", CACHE):
        return Promtool(str(found), (str(found),), str(folder))
    return promtool_of_image(folder) if _has_image() else None


def promtool_of_image(folder: Path = FOLDER) -> Promtool:
    mount = f"{folder}:{IN_IMAGE}:ro"
    run = ("docker", "run", "--rm", "--network=none", f"--volume={mount}", "--entrypoint=promtool", IMAGE)
    return Promtool(IMAGE, run, IN_IMAGE)


@cache
def _has_image() -> bool:
    if which("docker") is None:
        return False
    asked = ["docker", "image", "inspect", "--format={{.Id}}", IMAGE]
    try:
        return not subprocess.run(
            asked, capture_output=True, timeout=ANSWERS_WITHIN_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return False


@cache
def missing() -> dict[str, str]:
    """The marks whose tests cannot be run here, each with what they lack."""
    lacks = {}
    if find_program("prometheus", CACHE) is None:
        lacks["prometheus"] = "no `prometheus`"
    if find_promtool() is None:
        lacks["promtool"] = f"neither `promtool` nor the image {IMAGE}"
    return lacks


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be run here; the summary says so."""
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in missing())]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for mark, lack in missing().items():
        terminalreporter.write_line(
            f"Left out: all tests marked `{mark}`, for there is {lack} here; {HOW}.", yellow=True
        )
