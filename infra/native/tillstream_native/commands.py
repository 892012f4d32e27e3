"""What `make up`, `down`, `status`, `logs` and `clean` do, and how `demo` and `bench` learn where the stack is."""

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tillstream.variables import misspelt
from tillstream_native.credentials import url_file
from tillstream_native.places import ELSEWHERE, MAX_OFFSET, NAMES, PROMETHEUS, REPOSITORY, Places, Ports
from tillstream_native.sample import copy_to_raw, load_sample
from tillstream_native.services import callers_settings
from tillstream_native.stack import Stack, recorded_offset
from tillstream_native.supervision import Supervisor
from tillstream_native.system import LOCALHOST, CannotRun, server_user

SAMPLE_WITHIN_S = 120
LOG_LINES = "50"
EVENT = (
    '[{"user_id": 1, "event_type": "page_view", "product_id": 1, "event_timestamp": "2024-06-01T12:00:00Z"}]'
)


def parser() -> argparse.ArgumentParser:
    """The arguments; their defaults come from the variables that one gives to `make`."""
    root = argparse.ArgumentParser(prog="tillstream_native", description="The native stack.")
    root.add_argument("--state", type=Path, default=Path(os.environ.get("STATE") or REPOSITORY / ".local"))
    root.add_argument("--cache", type=Path, default=Path(os.environ.get("CACHE") or REPOSITORY / ".cache"))
    root.add_argument("--port-offset", type=int, default=os.environ.get("PORT_OFFSET") or None)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    start = commands.add_parser("up")
    start.add_argument("--prometheus", action="store_true", default=os.environ.get("PROMETHEUS") == "1")
    start.set_defaults(run=up)
    commands.add_parser("down").set_defaults(run=down)
    shown = commands.add_parser("status")
    shown.add_argument("--format", choices=("table", "json"), default=os.environ.get("FORMAT") or "table")
    shown.set_defaults(run=status)
    log = commands.add_parser("logs")
    log.add_argument("--service", choices=(*NAMES, PROMETHEUS), default=os.environ.get("SERVICE") or None)
    log.set_defaults(run=logs)
    tool = commands.add_parser("run", help="run a tool that is told where this stack is")
    tool.add_argument("command", nargs=argparse.REMAINDER)
    tool.set_defaults(run=run)
    wiped = commands.add_parser("clean")
    wiped.add_argument("--force", action="store_true", default=os.environ.get("FORCE") == "1")
    wiped.set_defaults(run=clean)
    return root


class Narrator:
    """Says each step with the seconds it took to get there."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, sentence: str) -> None:
        say(f"{time.monotonic() - self._started:6.1f} s  {sentence}")


def stack_of(arguments: argparse.Namespace) -> Stack:
    """The stack that the arguments name; one that runs keeps its ports without being told again. Raises CannotRun."""
    places = Places(arguments.state.resolve(), arguments.cache.resolve())
    known = recorded_offset(places) if Supervisor(places).running else None
    offset = arguments.port_offset if arguments.port_offset is not None else known or 0
    if not 0 <= offset <= MAX_OFFSET:
        raise CannotRun(
            f"PORT_OFFSET must be from 0 to {MAX_OFFSET}, not {offset}: no port lies above 65535."
        )
    wants_prometheus = getattr(arguments, "prometheus", False)
    return Stack(places, Ports(offset), callers_settings(), Narrator(), with_prometheus=wants_prometheus)


def say(sentence: str) -> None:
    print(sentence, flush=True)


def up(arguments: argparse.Namespace) -> None:
    """Start everything, load the sample shop once, and say where things are."""
    stack = stack_of(arguments)
    for sentence in misspelt(callers_settings()):
        say(f"WARNING: {sentence}")
    stack.up()
    copy_to_raw(stack.places)
    jobs = load_sample(stack.places, stack.ports.query, SAMPLE_WITHIN_S)
    rows = sum(int(job["rows"]) for job in jobs)
    stack.say(f"The sample shop is loaded: {len(jobs)} files, {rows} rows.")
    say(f"\n{_addresses(stack)}")


def down(arguments: argparse.Namespace) -> None:
    """Stop everything; the state stays."""
    stack_of(arguments).down()
    say("Tillstream is stopped; its state is kept.")


def status(arguments: argparse.Namespace) -> None:
    """One line per part, or JSON."""
    parts = stack_of(arguments).status()
    if arguments.format == "json":
        say(json.dumps([asdict(part) for part in parts]))
        return
    say(f"{'name':<14}{'state':<10}{'pid':>8}  ports")
    for part in parts:
        ports = ", ".join(str(port) for port in part.ports)
        say(f"{part.name:<14}{part.state:<10}{part.pid or '-':>8}  {ports}")


def logs(arguments: argparse.Namespace) -> None:
    """The last lines; a terminal goes on seeing new ones until Ctrl-C."""
    places = stack_of(arguments).places
    names = [arguments.service] if arguments.service else [*NAMES, PROMETHEUS]
    files = [str(places.log(name)) for name in names if places.log(name).exists()]
    if not files:
        raise CannotRun(f"There are no logs under {places.logs} yet.")
    follow = ["-F"] if sys.stdout.isatty() else []
    os.execvp("tail", ["tail", "-n", LOG_LINES, *follow, *files])  # noqa: S606, S607 - tail is on every system


def run(arguments: argparse.Namespace) -> None:
    """Become the tool, whose environment names this stack: also where only the state knows its ports."""
    stack = stack_of(arguments)
    if not arguments.command:
        raise CannotRun("There is nothing to run: name a command.")
    named = {
        "STATE": str(stack.places.state),
        "PORT_OFFSET": str(stack.ports.offset),
        "TILLSTREAM_INGEST_URL": _ingest_url(stack),
        "TILLSTREAM_QUERY_URL": _query_url(stack),
        "TILLSTREAM_DATA_DIR": str(stack.places.data),
        "TILLSTREAM_KAFKA_BOOTSTRAP": f"{LOCALHOST}:{stack.ports.kafka}",
        "TILLSTREAM_OPERATOR_DATABASE_URL_FILE": str(url_file(stack.places.secrets, "tillstream_operator")),
    }
    callers = {
        name: value for name, value in os.environ.items() if name != "TILLSTREAM_OPERATOR_DATABASE_URL"
    }
    os.execvpe(arguments.command[0], arguments.command, {**callers, **named})  # noqa: S606 - the caller's own


def clean(arguments: argparse.Namespace) -> None:
    """Stop everything and delete the state, after a question."""
    stack = stack_of(arguments)
    state = stack.places.state
    if state.exists() and not stack.places.is_state:
        raise CannotRun(f"{state} is no state of a stack, so nothing in it is deleted.")
    if not arguments.force and not _agreed(state):
        say("Nothing was deleted.")
        return
    stack.down()
    elsewhere = stack.places.postgres(server_user())
    if elsewhere.parent == ELSEWHERE:
        shutil.rmtree(elsewhere, ignore_errors=True)
    if state.exists():
        stack.places.delete()
    say(f"{state} is deleted.")


def _agreed(state: Path) -> bool:
    try:
        return input(f"Delete {state}, with the database and everything in it? [y/N] ").strip().lower() == "y"
    except EOFError:
        return False


def _ingest_url(stack: Stack) -> str:
    return f"http://{LOCALHOST}:{stack.ports.ingest}"


def _query_url(stack: Stack) -> str:
    return f"http://{LOCALHOST}:{stack.ports.query}"


def _addresses(stack: Stack) -> str:
    places, ports = stack.places, stack.ports
    ingest, query = _ingest_url(stack), _query_url(stack)
    is_watched = any(part.name == PROMETHEUS for part in stack.status())
    watched = f"\n  Prometheus    http://{LOCALHOST}:{ports.prometheus}" if is_watched else ""
    return f"""\
  ingest-api    {ingest}/docs
  query-api     {query}/docs
  PostgreSQL    {LOCALHOST}:{ports.postgres}, connection strings in {_short(places.secrets)}
  Kafka         {LOCALHOST}:{ports.kafka}{watched}
  drop files in {_short(places.inbox)}

Try:
  curl '{query}/orders?user_id=1'
  curl {ingest}/ingest/events -H 'content-type: application/json' -d '{EVENT}'
  curl '{query}/jobs?limit=5'"""


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
