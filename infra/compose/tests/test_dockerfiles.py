"""The Dockerfiles under hadolint, and what the builder of an older engine (BuildKit 0.8) does not know. Each rule is shown to catch a planted case."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .compose_files import ROOT

pytestmark = pytest.mark.unit

HADOLINT = Path(sys.executable).parent / "hadolint"  # its wheel brings the program itself
WITHIN_S = 30
OUR_USER = "10001"
NOT_OURS = frozenset({".git", ".venv", ".venv-airflow", ".cache", ".local", "node_modules"})
HEREDOC = re.compile(r"^\s*(?:RUN|COPY|ADD)\b.*<<-?\s*[\"']?\w+", re.MULTILINE)
NEWER_THAN_THE_BUILDER = {
    "a `# syntax=` line fetches another builder": re.compile(
        r"^#\s*syntax\s*=", re.MULTILINE | re.IGNORECASE
    ),
    "heredocs are not known": HEREDOC,
    "`--link` is not known": re.compile(r"^\s*(?:COPY|ADD)\b[^\n]*\s--link\b", re.MULTILINE),
    "a digest pins what the test's own images cannot have": re.compile(
        r"^\s*FROM\b[^\n]*@sha256:", re.MULTILINE
    ),
}
GOOD = """\
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/services.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/services.txt

FROM python:3.13-slim
COPY --from=build /opt/planted /opt/planted
USER 10001:10001
CMD ["serve"]
"""


def dockerfiles() -> list[Path]:
    found = []
    for folder, below, names in ROOT.walk():
        below[:] = [name for name in below if name not in NOT_OURS]
        found += [folder / name for name in names if name == "Dockerfile" or name.startswith("Dockerfile.")]
    return sorted(found)


def linted(text: str) -> list[str]:
    """What hadolint says, one line each: the rule, the line, why."""
    ran = subprocess.run(
        [HADOLINT, "--no-color", "--no-fail", "--format", "json", "-"],
        input=text,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=True,
    )
    return [f"{each['code']} in line {each['line']}: {each['message']}" for each in json.loads(ran.stdout)]


def too_new(text: str) -> list[str]:
    return [why for why, pattern in NEWER_THAN_THE_BUILDER.items() if pattern.search(text)]


def powerful(text: str) -> Iterator[str]:
    """What runs in the last stage as anybody but our user."""
    last = re.split(r"^\s*FROM\b", text, flags=re.MULTILINE | re.IGNORECASE)[-1]
    users = re.findall(r"^\s*USER\s+(\S+)", last, flags=re.MULTILINE | re.IGNORECASE)
    if [user.split(":")[0] for user in users[-1:]] != [OUR_USER]:
        yield f"it does not end as user {OUR_USER}"


def problems(text: str) -> list[str]:
    return [*linted(text), *too_new(text), *powerful(text)]


def test_every_dockerfile_passes() -> None:
    assert {
        str(path.relative_to(ROOT)): found
        for path in dockerfiles()
        if (found := problems(path.read_text(encoding="utf-8")))
    } == {}


def test_the_dockerfile_of_the_services_is_looked_at() -> None:
    assert ROOT / "infra/images/Dockerfile" in dockerfiles()


def test_good_file_passes() -> None:
    assert problems(GOOD) == []


BROKEN = {
    "untagged_image": ("FROM python:3.13-slim\n", "FROM python\n", "DL3006"),
    "latest_image": ("FROM python:3.13-slim\n", "FROM python:latest\n", "DL3007"),
    "unpinned_apt": ("USER 10001", "RUN apt-get install -y --no-install-recommends curl\nUSER 10001", "DL3008"),
    "apt_lists_left": (
        "USER 10001", "RUN apt-get update && apt-get install -y --no-install-recommends curl=8.5.0-2\nUSER 10001", "DL3009",
    ),
    "unpinned_pip": ("--require-hashes -r requirements/services.txt", "flask", "DL3013"),
    "recommended_packages": ("USER 10001", "RUN apt-get install -y curl=8.5.0-2\nUSER 10001", "DL3015"),
    "pip_cache": ("--no-cache-dir ", "", "DL3042"),
    "ends_as_root": ("USER 10001:10001", "USER root", "DL3002"),
    "add_of_a_file": ("COPY requirements", "ADD requirements", "DL3020"),
    "pipe_hides_failure": ("USER 10001", "RUN curl example | sh\nUSER 10001", "DL4006"),
    "shell_form": ('CMD ["serve"]', "CMD serve", "DL3025"),
    "sudo": ("USER 10001", "RUN sudo true\nUSER 10001", "DL3004"),
    "shell_mistake": ("USER 10001", "RUN cp $1 /x\nUSER 10001", "SC2086"),
    "syntax_line": ("FROM python:3.13-slim AS", "# syntax=docker/dockerfile:1\nFROM python:3.13-slim AS", "# syntax="),
    "heredoc": ("USER 10001", "RUN <<EOF\ntrue\nEOF\nUSER 10001", "heredocs"),
    "link": ("COPY --from=build", "COPY --link --from=build", "--link"),
    "digest": ("FROM python:3.13-slim\n", f"FROM python:3.13-slim@sha256:{'0' * 64}\n", "digest"),
    "no_user": ("USER 10001:10001\n", "", "does not end as user"),
    "another_user": ("USER 10001:10001\n", "USER 1000\n", "does not end as user"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_planted_case_is_found(case: str) -> None:
    good, bad, expected = BROKEN[case]
    assert good in GOOD
    assert [each for each in problems(GOOD.replace(good, bad, 1)) if expected in each]
