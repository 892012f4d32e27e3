"""`python -m etl_worker.file_loader`."""

import asyncio
import sys

from etl_worker.file_loader import app
from etl_worker.file_loader.settings import LoaderSettings
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings
from tillstream.variables import warn_of_misspelt

SWITCH_S = 0.0005  # at 5 ms, Python's own, a thread that reads the next chunk would let PostgreSQL wait some six times per chunk


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(LoaderSettings)
    logs.configure(Process.FILE_LOADER, settings.log_level)
    await app.run(settings, stop)


def main() -> int:
    logs.configure(Process.FILE_LOADER)
    warn_of_misspelt()
    sys.setswitchinterval(SWITCH_S)
    return serve.run(_main)


if __name__ == "__main__":
    sys.exit(main())
