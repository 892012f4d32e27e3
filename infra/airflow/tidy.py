"""Deletes what Airflow itself keeps for ever: its records of past runs, and the files of its logs.

`tidy.py FOLDER` does so some minutes after its start and then each day, until it is told to end. `--once` does it now and ends;
`--check` only says whether AIRFLOW_KEEP_DAYS can be used.
"""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

KEEP_DAYS = "AIRFLOW_KEEP_DAYS"
WHOLE_DAYS = re.compile(r"[1-9][0-9]{0,4}")  # at least one: no run lasts longer than six hours
TO_BE_CHANGED = 78  # as the services: it ends the same way until a person changes something
FIRST_AFTER_S = 600  # a start has enough to do, and so has the first night's run
EVERY_S = 86_400
AGAIN_AFTER_S = 3_600
CLEAN_WITHIN_S = 1_800
END_WITHIN_S = 20  # less than what start.sh gives its parts
SAID_CHARS = 2_000


class NotTidied(Exception):
    """Something is left over; the next attempt may do better."""


class Deleted(NamedTuple):
    """How much of the logs is gone."""

    files: int = 0
    bytes: int = 0


def keep_days(environment: Mapping[str, str]) -> int:
    """Raises ValueError with a sentence."""
    said = environment.get(KEEP_DAYS, "")
    if not WHOLE_DAYS.fullmatch(said):
        raise ValueError(f"{KEEP_DAYS} must be a whole number of days from 1 to 99999, not {said[:20]!r}.")
    return int(said)


def delete_logs(folder: Path, before: datetime) -> Deleted:
    """Deletes every regular file below that was last written before a moment, and the folders that this leaves empty.

    Links are not followed. A folder in which something was made since stays: a task may be about to write there.
    """
    oldest_s = before.timestamp()
    # Before anything is deleted, which is a change of its folder.
    walked = [
        (Path(place), os.lstat(place).st_mtime, names) for place, _, names in os.walk(folder, onerror=_raise)
    ]
    files = deleted_bytes = 0
    for place, changed_s, names in reversed(walked):
        for path in (place / name for name in names):
            with suppress(FileNotFoundError):  # somebody else was quicker
                facts = path.lstat()
                if S_ISREG(facts.st_mode) and facts.st_mtime < oldest_s:
                    path.unlink()
                    files += 1
                    deleted_bytes += facts.st_size
        if place != folder and changed_s < oldest_s:
            _remove_if_empty(place)
    return Deleted(files, deleted_bytes)


def _remove_if_empty(place: Path) -> None:
    try:
        place.rmdir()
    except OSError as problem:
        if problem.errno not in {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST}:
            raise


def _raise(problem: OSError) -> None:
    raise problem


def clean_database(before: datetime) -> None:
    """Airflow's own command; the last scheduled run of a DAG stays, since the next one follows from it. Raises NotTidied."""
    # Without the first option what is deleted moves to tables that nobody deletes; without the second a failure looks like success.
    options = ["--skip-archive", "--error-on-cleanup-failure", "--yes"]
    command = ["airflow", "db", "clean", *options, "--clean-before-timestamp", before.isoformat()]
    try:
        code, said = _run(command)
    except (subprocess.TimeoutExpired, OSError) as problem:
        raise NotTidied(f"`airflow db clean` could not do its work: {problem}") from problem
    if code != 0:
        raise NotTidied(f"`airflow db clean` failed: {said[-SAID_CHARS:]}")


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Its exit code, and what it said. One that is not waited for any more is interrupted first: killed, it would leave a table
    behind in which it keeps what it deletes."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            said, _ = process.communicate(timeout=CLEAN_WITHIN_S)
        except BaseException:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
        return process.returncode, said


def tidied(folder: Path, days: int) -> bool:
    """One round. Each half is tried, and what went wrong is said; it may be repeated at any time."""
    before = datetime.now(UTC) - timedelta(days=days)
    is_done = True
    deleted = Deleted()
    try:
        deleted = delete_logs(folder, before)
    except OSError as problem:
        is_done = False
        print(f"Old logs of Airflow could not be deleted: {problem}", file=sys.stderr, flush=True)
    try:
        clean_database(before)
    except NotTidied as problem:
        is_done = False
        print(f"Old records of Airflow could not be deleted: {problem}", file=sys.stderr, flush=True)
    if is_done:
        print(
            f"What Airflow kept from before {before:%Y-%m-%d} is deleted ({KEEP_DAYS}={days}): "
            f"records of runs, and {deleted.files} files of its logs with {deleted.bytes} bytes.",
            flush=True,
        )
    return is_done


def main(arguments: list[str]) -> int:
    try:
        days = keep_days(os.environ)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return TO_BE_CHANGED
    if "--check" in arguments:
        return 0
    folder = Path(arguments[0])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # which ends a command that runs, too
    if "--once" in arguments:
        return 0 if tidied(folder, days) else 1
    pause_s = FIRST_AFTER_S
    while True:
        time.sleep(pause_s)
        try:
            is_done = tidied(folder, days)
        except Exception as problem:  # noqa: BLE001 - the edge of the loop: the scheduler would end with it
            is_done = False
            print(f"Airflow could not be tidied: {problem!r}", file=sys.stderr, flush=True)
        pause_s = EVERY_S if is_done else AGAIN_AFTER_S


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
