"""One server as a child process: started, awaited, stopped or killed, always by its own pid."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tillstream_native.system import CannotRun, SystemUser

POLL_S = 0.02
LOG_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Program:
    """How one process is run; supervisord and the tests start it from the same description."""

    name: str
    command: tuple[str, ...]
    directory: Path
    ports: tuple[int, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: SystemUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: int = 25


class Child:
    """A running program; `place` receives its log and its pid, so that a leash can end it after us."""

    def __init__(self, program: Program, place: Path) -> None:
        self.program = program
        self.log = place / f"{program.name}.log"
        self._pid_file = place / f"{program.name}.pid"
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Child {self.program.name} pid={self.pid}>"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of one that ended by itself; minus the signal that ended it. None while it runs, and after `stop` and `kill`."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start it and return at once; a session of its own keeps the terminal's Ctrl-C away from it."""
        assert not self.running, f"{self!r} runs already"
        user = self.program.user
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.program.command,
                cwd=self.program.directory,
                env={**os.environ, **self.program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )
        self._pid_file.write_text(str(self._process.pid))

    def wait_until(self, ready: Callable[[], bool], within_s: float) -> None:
        """Wait for a condition; a process that ended or never gets there is reported with the end of its log."""
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.running:
                raise CannotRun(f"{self.program.name} ended while it started:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise CannotRun(
                    f"{self.program.name} was not ready after {within_s:.0f} s:\n{tail(self.log)}"
                )
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it in its own way, and by force when that takes too long."""
        self._end(self.program.stop_signal, self.program.stop_within_s)

    def kill(self) -> None:
        """End it and its children without warning, as a crash would."""
        self._end(signal.SIGKILL, self.program.stop_within_s)

    def _end(self, number: signal.Signals, within_s: float) -> None:
        if self._process is None:
            return
        family = _family(self._process.pid) if self.running else []
        self._process.send_signal(number)
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _, left = psutil.wait_procs(family, timeout=within_s)
        for process in left:
            process.kill()
        self._process = None
        self._pid_file.unlink(missing_ok=True)


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, indented, or a word that there is none."""
    if not log.exists():
        return "  (no log)"
    found = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"  {line}" for line in found) or "  (the log is empty)"
