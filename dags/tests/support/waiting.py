"""Waiting for a condition with a deadline."""

import threading
import time
from collections.abc import Callable

POLL_S = 0.2


def wait_for[T](condition: Callable[[], T | None], within_s: float, what: str) -> T:
    """The first answer that is not None or False."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while True:
        found = condition()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {within_s:.0f} s"
        pause.wait(POLL_S)
