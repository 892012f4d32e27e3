"""How much memory this process takes at its peak, whatever the tests before have taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROCESS = Path("/proc/self")
FORGET_THE_PEAK = "5"


def _kib(name: str) -> int:
    status = (PROCESS / "status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1])


@contextmanager
def growing_less_than(limit_kib: int) -> Iterator[None]:
    """Fails where the process has more at any moment within, beyond what it has at the beginning."""
    (PROCESS / "clear_refs").write_text(FORGET_THE_PEAK)
    before_kib = _kib("VmRSS")
    yield
    assert _kib("VmHWM") - before_kib < limit_kib
