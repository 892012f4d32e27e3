"""The steps of a process that handles files, each with a label. At the one that it is asked for it ends, or stands still."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from threading import Event
from typing import Any

ORDER, JOURNAL = "FILE_FAULTS_ORDER", "FILE_FAULTS_JOURNAL"
PLANT = "FILE_FAULTS_PLANT"  # the name of a planted bug
KILL, STOP = "kill", "stop"
HELD_SUFFIX = ".held"  # of the order, while a process stands still because of it
LOOK_EVERY_S = 0.01
CHANGES = frozenset({"os.rename", "os.remove", "os.link"})  # audit events, as the interpreter tells them


class Steps:
    """Counts the steps with one file and writes their labels down.

    The order is `kill LABEL FILE` or `stop LABEL FILE`, of any file where none is named; it is used up by whoever comes there.
    Not by SIGSTOP, after which a process may go on for a moment: it waits by itself, with its whole loop, until it is let go on.
    """

    def __init__(self) -> None:
        self._order = Path(os.environ[ORDER])
        self._journal = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._nothing = Event()
        self._file = "-"
        self._counts: Counter[tuple[str, str]] = Counter()

    def begin(self, file: str) -> None:
        """From here on the steps are those with this file."""
        self._file = file

    def reach(self, name: str, file: str | None = None) -> None:
        """The moment before a step, which is the one after the step before."""
        file = file or self._file
        self._counts[file, name] += 1
        label = f"{name}.{self._counts[file, name]}"
        os.write(self._journal, f"{label} {file}\n".encode())
        try:
            what, *wanted = self._order.read_text().split()
        except FileNotFoundError:
            return
        if wanted in ([label], [label, file]):
            held = self._order.rename(self._order.with_suffix(HELD_SUFFIX))
            if what == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            while held.exists():
                self._nothing.wait(LOOK_EVERY_S)

    def around(self, call: Callable[..., Any], name: str, file: str | None = None) -> Callable[..., Any]:
        """The call, with a step before it."""

        @wraps(call)
        def stepping(*arguments: Any, **more: Any) -> Any:
            self.reach(name, file)
            return call(*arguments, **more)

        return stepping

    def hear(self, folder: Path, begins: Callable[[Path], str | None]) -> None:
        """Whatever this process changes in the folder is a step, too. `begins` tells the file whose steps begin with the
        opening of a path."""

        def heard(event: str, arguments: tuple[Any, ...]) -> None:
            if event != "open" and event not in CHANGES:
                return
            path = arguments[0]
            if not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(str(folder)):
                return
            if event == "open":
                file = begins(Path(path))
                if file is not None:
                    self.begin(file)
                if not arguments[2] & (os.O_CREAT | os.O_DIRECTORY):
                    return
            self.reach(event)

        sys.addaudithook(heard)
