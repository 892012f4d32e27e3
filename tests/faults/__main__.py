"""`python -m faults chaos` and `python -m faults canaries`; see docs/runbooks/chaos.md."""

import asyncio
import logging
import signal
import sys
from argparse import Namespace

from faults.commands import parser


async def _run(arguments: Namespace) -> int:
    """The command; a SIGTERM ends it as Ctrl-C does, with everything that it started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    done: int = await arguments.run(arguments)
    return done


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that the broker is away is what this is about
    sys.exit(asyncio.run(_run(parser().parse_args())))
