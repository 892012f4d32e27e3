"""Finds Java and Maven: not only the default ones, and only such that run."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tillstream_native.system import CannotRun

JAVA_AT_LEAST = 17
ANSWER_WITHIN_S = 30
# Where distributions, SDKMAN and macOS keep what is not the default.
JAVA_HOMES = (
    "/usr/lib/jvm/*",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*",
)
MAVEN_HOMES = ("/usr/share/maven", "/opt/maven*", "/opt/apache-maven*", "~/.sdkman/candidates/maven/*", "/opt/homebrew/opt/maven")  # fmt: skip


def find_java() -> Path:
    """A Java that is new enough. Raises CannotRun when there is none."""
    for java in _candidates("java", ("JAVA_HOME",), JAVA_HOMES):
        if _java_version(java) >= JAVA_AT_LEAST:
            return java
    raise CannotRun(f"Kafka needs Java {JAVA_AT_LEAST} or newer: install one, or let JAVA_HOME point at it.")


def find_maven(java: Path) -> tuple[Path, Mapping[str, str]]:
    """A Maven that runs on that Java, and the environment for it. Raises CannotRun when there is none."""
    environment = {**os.environ, "JAVA_HOME": str(java.resolve().parents[1])}
    for maven in _candidates("mvn", ("MAVEN_HOME", "M2_HOME"), MAVEN_HOMES):
        if _said([str(maven), "-v"], environment) is not None:
            return maven, environment
    raise CannotRun(
        "Kafka's jars are fetched with Maven, and there is none: install it, or put `mvn` on the path."
    )


def _candidates(program: str, variables: tuple[str, ...], homes: tuple[str, ...]) -> Iterator[Path]:
    for variable in variables:
        if home := os.environ.get(variable):
            yield Path(home, "bin", program)
    if found := shutil.which(program):
        yield Path(found)
    for pattern in homes:
        place = Path(pattern).expanduser()
        yield from sorted(Path(place.anchor).glob(str(Path(*place.parts[1:], "bin", program))), reverse=True)


def _java_version(java: Path) -> int:
    said = _said([str(java), "-version"], os.environ)
    version = re.search(r'version "(?:1\.)?(\d+)', said or "")
    return int(version[1]) if version else 0


def _said(command: list[str], environment: Mapping[str, str]) -> str | None:
    """What a program says on both streams; None when it cannot be run or fails."""
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=ANSWER_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout + done.stderr
