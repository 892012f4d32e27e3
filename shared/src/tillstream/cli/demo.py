"""`tillstream demo`: live traffic for a running shop, until Ctrl-C."""

import argparse
import asyncio
import signal
import sys
from random import Random

from pydantic import Field

from tillstream.clock import SystemClock
from tillstream.demo.client import Client
from tillstream.demo.stream import Stream, Totals
from tillstream.settings import ServiceSettings, load_settings

DEFAULT_RATE = 20.0
MAX_RATE = 5_000.0
ANSWER_WITHIN_S = 15.0
# A terminal shows every change on one line; a log gets a line now and then.
LOG_EVERY_S = 10.0
_ERASE_LINE = "\r\x1b[2K"


class DemoSettings(ServiceSettings):
    """What the command needs to know."""

    ingest_url: str = Field(
        default="http://127.0.0.1:8001",
        description="Where ingest-api is; `make demo` names that of the stack that runs.",
    )


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declares the command's arguments."""
    parser = subparsers.add_parser("demo", help="post believable live traffic to ingest-api until Ctrl-C")
    parser.add_argument("--url", default=None, help="where ingest-api is (default: TILLSTREAM_INGEST_URL)")
    parser.add_argument(
        "--rate", type=_rate, default=DEFAULT_RATE, help="records a second (default: %(default)g)"
    )
    parser.add_argument("--seconds", type=_seconds, default=None, help="stop by itself after this long")
    parser.add_argument(
        "--seed", type=int, default=None, help="tell the same story again; times and ids still differ"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Streams; 0 once it was stopped or its time is over."""
    return asyncio.run(_run(args, args.url or load_settings(DemoSettings).ingest_url))


class ProgressLine:
    """Shows the totals where they disturb nobody: one changing line on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._in_place = sys.stdout.isatty()
        self._next_s = LOG_EVERY_S

    def show(self, totals: Totals) -> None:
        if self._in_place:
            print(f"{_ERASE_LINE}{totals.sentence()}", end="", flush=True)
        elif totals.seconds >= self._next_s:
            self._next_s = totals.seconds + LOG_EVERY_S
            print(totals.sentence(), flush=True)

    def finish(self, totals: Totals) -> None:
        print(f"{_ERASE_LINE if self._in_place else ''}{totals.sentence()}", flush=True)


async def _run(args: argparse.Namespace, url: str) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    line = ProgressLine()
    stream = Stream(
        Client(url, ANSWER_WITHIN_S),
        SystemClock(),
        Random(args.seed),  # noqa: S311 - a story, not a secret
        rate=args.rate,
        seconds=args.seconds,
        show=line.show,
    )
    line.finish(await stream.run(stop))
    return 0


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate <= MAX_RATE:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most {MAX_RATE:g}")
    return rate


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return seconds
