"""Log lines that come thousands a second: those of one turn of the event loop are written in one system call."""

import asyncio
from typing import Any

import structlog


class TurnLines:
    """What structlog writes lines to. Each turn's lines come out at its end, through the logger that all others use.

    What a kill may cost is the lines of one turn: for those that say what was answered, and none that says what is wrong.
    """

    def __init__(self) -> None:
        self._held: list[str] = []

    def __repr__(self) -> str:
        return f"<TurnLines: {len(self._held)} held>"

    def info(self, line: str) -> None:
        """Needs a running loop."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._write)
        self._held.append(line)

    debug = info

    def _write(self) -> None:
        held, self._held = self._held, []
        structlog.get_config()["logger_factory"]().msg("\n".join(held))


def turn_logger() -> Any:
    """A bound logger for lines of the levels debug and info, with the processors that are configured by then."""
    return structlog.wrap_logger(TurnLines()).bind()
