"""Waiting for the services, with a deadline and a reason."""

import time
from collections.abc import Iterable

from tillstream_native import web
from tillstream_native.places import Places, Ports
from tillstream_native.processes import tail
from tillstream_native.system import CannotRun

POLL_S = 0.05


def problem(port: int) -> str | None:
    """Why the service behind an ops port is not ready, or None when it is."""
    try:
        status, body = web.get(port, "/health/ready")
    except OSError as error:
        return f"does not answer ({error})"
    if status == 200:  # noqa: PLR2004 - HTTP's own number
        return None
    return f"says {body}"


def wait_until_ready(names: Iterable[str], ports: Ports, places: Places, within_s: float) -> None:
    """Raises CannotRun after the deadline, with the last words of every service that is not ready."""
    deadline = time.monotonic() + within_s
    missing = {name: problem(ports.ops(name)) for name in names}
    while any(missing.values()):
        if time.monotonic() > deadline:
            raise CannotRun("\n".join(_report(name, why, places) for name, why in missing.items() if why))
        time.sleep(POLL_S)
        missing = {name: problem(ports.ops(name)) for name, why in missing.items() if why}


def _report(name: str, why: str, places: Places) -> str:
    return f"{name} is not ready: it {why}. Its log ends with:\n{tail(places.log(name))}"
