"""Ends a watcher with SIGKILL before its first step on the disk, then before its second one, and so on, and starts it again.

`python killed_at_each_step.py ROOT NAME [META]` does so with a file of that name and what is said about it, and writes one line of JSON for each into ROOT/reports: where it was killed, and what there
is after the restart. The last line is that of a run which came to its end. The interpreter itself tells the steps (audit events).
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from file_watcher.app import build
from file_watcher.emit import ORPHAN_AFTER_S
from file_watcher.meta import meta_path
from file_watcher.settings import WatcherSettings
from tillstream.clock import SystemClock
from tillstream.folders import Folders
from tillstream.kafka.records import Outgoing, PublishResult

SOURCE, MARKER = "acme", ".done"
STEPS = frozenset(
    {"open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate", "journal.sent"}
)


class Journal:
    """A producer whose broker is a file: it outlives the process, as Kafka does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    async def probe(self) -> None:
        return

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        assert deadline_s > 0
        with self._path.open("ab") as file:
            file.writelines(each.value + b"\n" for each in records if each.value is not None)
        sys.audit("journal.sent", str(self._path))
        return [PublishResult(0, 0) for _ in records]


class LaterClock(SystemClock):
    """When what a crash left has long been an orphan."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=2 * ORPHAN_AFTER_S)


async def watch(place: Path, clock: SystemClock) -> None:
    """What a start does: claim what is there, then tell of all that is claimed."""
    settings = WatcherSettings(data_dir=place / "data", ops_port=0, file_stable_s=0, file_marker=MARKER)
    app = build(settings, producer=Journal(place / "journal"), clock=clock)
    await app.watch.scan_once()
    assert await app.emitter.emit_all()


def kill_before(step: int, place: Path, note: Path) -> None:
    """From here on this process dies before its step number `step` below `place`."""
    steps = count()

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        is_ours = event in STEPS and any(
            isinstance(each, str | os.PathLike) and os.fspath(each).startswith(str(place))
            for each in arguments
        )
        if is_ours and next(steps) == step:
            os.write(handle, f"{event} {[str(each) for each in arguments][:2]}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    handle = os.open(note, os.O_WRONLY | os.O_CREAT)
    sys.addaudithook(hear)


def in_a_child(work: Callable[[], None]) -> int:
    """The signal that ended it, 0 where it came to its end."""
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the parent hears of it by the exit code
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code <= 0, "a watcher failed by itself"
    return -code


def run(step: int, place: Path, name: str, meta: str) -> bool:
    """Whether it was killed."""
    folders = Folders(place / "data")
    folders.create()
    (folders.input / SOURCE).mkdir()
    (folders.input / SOURCE / name).write_bytes(b"content")
    if meta:
        beside = meta_path(folders.input / SOURCE / name)
        beside.write_text(meta)
        os.utime(beside, (0, 0))  # it came to rest long ago
    (folders.input / SOURCE / f"{name}{MARKER}").touch()
    note = place.with_suffix(".note")

    def first_life() -> None:
        kill_before(step, place, note)
        asyncio.run(watch(place, SystemClock()))

    is_killed = in_a_child(first_life) == signal.SIGKILL
    assert in_a_child(lambda: asyncio.run(watch(place, LaterClock()))) == 0
    tree = [path for path in folders.root.rglob("*") if not path.is_dir()]
    report = {
        "killed_before": note.read_text() if is_killed else None,
        "files": {str(path.relative_to(folders.root)): path.read_text() for path in tree},
        "sent": (place / "journal").read_text().splitlines(),
    }
    with (place.parent / "reports").open("a") as file:
        file.write(json.dumps(report) + "\n")
    return is_killed


if __name__ == "__main__":
    for number in count():
        if not run(number, Path(sys.argv[1]) / str(number), sys.argv[2], "".join(sys.argv[3:])):
            break
