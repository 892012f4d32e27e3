"""supervisord: its configuration, and what we ask of it over its socket."""

import getpass
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, override
from xmlrpc.client import Fault, ServerProxy, Transport

import psutil

from tillstream_native.places import Places
from tillstream_native.processes import Program, tail
from tillstream_native.services import base_environment
from tillstream_native.system import CannotRun

MARK = "TILLSTREAM_STACK"  # in the environment of every process of a stack: whose it is
POLL_S = 0.05
ANSWERS_WITHIN_S = 15
LOG_BYTES = "20MB"
LOG_BACKUPS = 3
RESTARTS = 1_000_000  # it waits one second more after each, and never gives up
STOPPED = "stopped"
RUNNING = "running"
DOWN = frozenset({STOPPED, "exited", "fatal"})
COMMENT = re.compile(r"\s[;#]")


class Supervisor:
    """Starts, stops and watches the programs of one stack."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._config = places.run / "supervisord.conf"
        self._pid_file = places.run / "supervisord.pid"

    def configure(self, programs: Iterable[Program]) -> None:
        """Write the configuration; it holds from the next launch on."""
        if "%" in str(self._places.state):
            raise CannotRun(f"supervisord trips over the % in {self._places.state}: use a path without one.")
        mark = {MARK: str(self._places.state)}
        sections: dict[str, Mapping[str, object]] = {
            "unix_http_server": {"file": self._places.socket, "chmod": "0700"},
            "supervisord": {
                "pidfile": self._pid_file,
                "logfile": self._places.log("supervisord"),
                "logfile_maxbytes": LOG_BYTES,
                "logfile_backups": LOG_BACKUPS,
                "directory": self._places.run,
                "identifier": "tillstream",
                **({"user": getpass.getuser()} if os.geteuid() == 0 else {}),
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            **{f"program:{program.name}": self._section(program, mark) for program in programs},
        }
        self._config.write_text("\n".join(_lines(sections)))

    def launch(self) -> None:
        """Start supervisord with no program running, and wait until it answers."""
        self._places.socket.unlink(missing_ok=True)
        done = subprocess.run(
            [Path(sys.executable).with_name("supervisord"), "-c", self._config],
            env=base_environment(),
            cwd=self._places.run,
            capture_output=True,
            text=True,
            check=False,
        )
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while not self.running:
            if done.returncode or time.monotonic() > deadline:
                said = done.stderr.strip() or done.stdout.strip() or tail(self._places.log("supervisord"))
                raise CannotRun(f"supervisord did not start: {said}")
            time.sleep(POLL_S)

    @property
    def running(self) -> bool:
        """Whether it is there. Raises CannotRun where it is and does not answer."""
        try:
            self._call("getState")
        except OSError:
            return False
        return True

    def states(self) -> dict[str, tuple[str, int | None]]:
        """State (in supervisord's words, lower case) and pid of every program; empty when supervisord is down."""
        try:
            found = self._call("getAllProcessInfo")
        except OSError:
            return {}
        return {each["name"]: (each["statename"].lower(), each["pid"] or None) for each in found}

    def start(self, names: Iterable[str]) -> None:
        """Start programs that do not run, and return at once."""
        for name in names:
            if self.states()[name][0] in DOWN:
                self._call("startProcess", name, False)

    def stop(self, names: Iterable[str], within_s: float) -> None:
        """Stop programs at the same time and wait for their end; each is killed after its own patience."""
        states = self.states()
        asked = [name for name in names if name in states and states[name][0] not in DOWN]
        for name in asked:
            self._call("stopProcess", name, False)
        deadline = time.monotonic() + within_s
        while any(self.states()[name][0] not in DOWN for name in asked):
            if time.monotonic() > deadline:
                raise CannotRun(f"{', '.join(asked)} did not stop within {within_s:.0f} s.")
            time.sleep(POLL_S)

    def shutdown(self, within_s: float) -> None:
        """End supervisord itself, whose programs are stopped by then."""
        process = psutil.Process(self._call("getPID"))
        self._call("shutdown")
        process.wait(within_s)

    def _section(self, program: Program, mark: Mapping[str, str]) -> dict[str, object]:
        environment = {**program.environment, **mark}
        return {
            "command": shlex.join(program.command),
            "directory": program.directory,
            "environment": ",".join(f"{name}={_quoted(value)}" for name, value in environment.items()),
            **({"user": program.user.name} if program.user else {}),
            "autostart": "false",
            "autorestart": "true",
            "startsecs": 1,
            "startretries": RESTARTS,
            "stopsignal": program.stop_signal.name.removeprefix("SIG"),
            "stopwaitsecs": program.stop_within_s,
            "redirect_stderr": "true",
            "stdout_logfile": self._places.log(program.name),
            "stdout_logfile_maxbytes": LOG_BYTES,
            "stdout_logfile_backups": LOG_BACKUPS,
        }

    def _call(self, method: str, *arguments: object) -> Any:
        """What supervisord answers. Raises OSError where it is down, CannotRun where it refuses or says nothing in time."""
        with ServerProxy("http://localhost", transport=_SocketTransport(self._places.socket)) as server:
            try:
                return getattr(server.supervisor, method)(*arguments)
            except Fault as fault:
                raise CannotRun(f"supervisord refused {method}{arguments}: {fault.faultString}.") from None
            except (
                TimeoutError
            ):  # an OSError too, and yet not down: whoever started another one would have two
                raise CannotRun(self._mute()) from None

    def _mute(self) -> str:
        pid = self._pid_file.read_text().strip() if self._pid_file.exists() else "unknown"
        return (
            f"supervisord (process {pid}) has not answered within {ANSWERS_WITHIN_S} s: its log is "
            f"{self._places.log('supervisord')}. If it hangs, end it with `kill -9 {pid}` and try again."
        )


class _SocketTransport(Transport):
    """XML-RPC over a Unix socket, with a limit: supervisord's own transport waits for ever."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @override
    def make_connection(self, host: Any) -> HTTPConnection:
        connection = _SocketConnection(self._path)
        self._connection = host, connection  # what `close` closes
        return connection


class _SocketConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWERS_WITHIN_S)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _quoted(value: str) -> str:
    """supervisord knows two kinds of quotes, no escape, and strips either kind from the ends."""
    quote = "'" if '"' in value else '"'
    if quote in value or value != value.strip("'\""):
        raise CannotRun(f"supervisord cannot hand over the setting {value}: it has too many quotes.")
    return f"{quote}{value}{quote}"


def _lines(sections: Mapping[str, Mapping[str, object]]) -> Iterable[str]:
    for section, entries in sections.items():
        yield f"[{section}]"
        for name, value in entries.items():
            text = str(value).replace("%", "%%")
            if COMMENT.search(text):
                raise CannotRun(
                    f"supervisord would read a part of {value} as a comment: use a path without ` ;` and ` #`."
                )
            yield f"{name}={text}"
        yield ""
