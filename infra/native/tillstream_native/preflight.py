"""Questions to the machine before anything is started; each problem is one sentence."""

import shutil
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import psutil

from tillstream_native.places import Places
from tillstream_native.system import LOCALHOST, CannotRun

MEGABYTE = 1_000_000
NEEDED_BYTES = 1_000 * MEGABYTE


def check_state(places: Places) -> None:
    """Raises CannotRun when the folder of the state holds somebody's things: `make clean` would delete them one day."""
    if places.state.exists() and not places.state.is_dir():
        raise CannotRun(f"{places.state} is no folder; name another STATE.")
    if not places.may_become_state:
        raise CannotRun(
            f"{places.state} holds things that are no stack's; name a new or empty folder as STATE."
        )


def check_disk(state: Path) -> None:
    """Raises CannotRun when the disk under the state is nearly full."""
    existing = next(place for place in (state, *state.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < NEEDED_BYTES:
        raise CannotRun(
            f"Only {free // MEGABYTE} MB are free on the disk of {state}; the stack wants {NEEDED_BYTES // MEGABYTE} MB."
        )


def check_ports(wanted: Mapping[int, str]) -> None:
    """Raises CannotRun with a sentence per port that somebody else holds. `wanted` says which part needs it."""
    taken = [_sentence(port, name) for port, name in wanted.items() if _is_taken(port)]
    if taken:
        raise CannotRun(" ".join(taken) + " End what holds it, or take other ports with PORT_OFFSET=1000.")


def _is_taken(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return True
        return False


def _sentence(port: int, name: str) -> str:
    holder = _holder(port)
    by = f" by {holder.name()} with pid {holder.pid}" if holder else ""
    return f"Port {port}, which {name} needs, is taken{by}."


def _holder(port: int) -> psutil.Process | None:
    try:
        listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
        for each in listening:
            if each.pid and each.laddr and each.laddr.port == port:
                return psutil.Process(each.pid)
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return None
    return None
