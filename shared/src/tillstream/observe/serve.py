"""How a process runs: one main coroutine, a stop event, an exit code.

SIGTERM and SIGINT set the event; the main coroutine stops its intake, finishes or rolls back, and returns. What takes
longer than STOP_LIMIT_S is cancelled, so that the process ends within 20 s.
"""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable

import structlog
import uvloop

from tillstream.errors import Misconfigured, TillstreamError

STOP_LIMIT_S = 18.0
CANCEL_LIMIT_S = 1.0
# A batch is thousands of objects that live together. At Python's own threshold (2,000) the collector walks them many
# times while they are made, which took 15 % of ingest-api's time; at 50,000 it still took a tenth of etl-worker's, whose
# batches are of 10,000 records. What it finds later is bounded by this number of small objects.
COLLECT_AFTER_OBJECTS = 500_000
EXIT_CLEAN = 0
EXIT_FAILED = 1
EXIT_MISCONFIGURED = 78  # EX_CONFIG of sysexits.h: a restart will not help

_log = structlog.get_logger()

Main = Callable[[asyncio.Event], Awaitable[int | None]]


def run(main: Main) -> int:
    """Run `main(stop)` on a new uvloop until it returns; the result is the exit code of the process.

    None counts as 0. Misconfigured becomes one log line and 78, any other error a log line with its stack and 1.
    """
    gc.set_threshold(COLLECT_AFTER_OBJECTS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(supervise(main))


async def supervise(main: Main, stop_limit_s: float = STOP_LIMIT_S) -> int:
    """The same within a running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    handled = (signal.SIGTERM, signal.SIGINT)
    for number in handled:
        loop.add_signal_handler(number, _asked_to_stop, number, stop)
    try:
        return await _run_bounded(main, stop, stop_limit_s)
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _asked_to_stop(number: int, stop: asyncio.Event) -> None:
    stop.set()  # first: where nobody reads stdout any more, the line below raises
    _log.info("Stopping, as asked.", signal=signal.Signals(number).name)


async def _run_bounded(main: Main, stop: asyncio.Event, stop_limit_s: float) -> int:
    running = asyncio.create_task(_guard(main, stop), name="main")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        await asyncio.wait({running}, timeout=stop_limit_s)
    if running.done():
        return running.result()
    _log.error("Gave up on finishing what was in flight.", limit_s=stop_limit_s)
    running.cancel()
    await asyncio.wait({running}, timeout=CANCEL_LIMIT_S)
    return EXIT_FAILED


async def _guard(main: Main, stop: asyncio.Event) -> int:
    try:
        code = await main(stop)
    except Misconfigured as error:
        _log.error("The process cannot run as it is set up.", problem=str(error))
        return EXIT_MISCONFIGURED
    except TillstreamError as error:
        _log.exception("The process ended by an error.", problem=str(error))
        return EXIT_FAILED
    except Exception:  # noqa: BLE001 - the edge of the process: whatever it is, it is logged and ends it
        _log.exception("The process ended by a bug.")
        return EXIT_FAILED
    _log.info("Stopped.", exit_code=code or EXIT_CLEAN)
    return code or EXIT_CLEAN
