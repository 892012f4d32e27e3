"""`python -m etl_worker.file_loader`."""

import asyncio
import sys

from etl_worker.file_loader import app
from etl_worker.file_loader.settings import LoaderSettings
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings

# A thread that reads the next chunk holds the interpreter for 5 ms at a time; PostgreSQL, done with a statement, would wait as
# long for the next one, some six times per chunk.
SWITCH_S = 0.0005


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(LoaderSettings)
    logs.configure(Process.FILE_LOADER, settings.log_level)
    await app.run(settings, stop)


def main() -> int:
    logs.configure(Process.FILE_LOADER)
    sys.setswitchinterval(SWITCH_S)
    return serve.run(_main)


if __name__ == "__main__":
    sys.exit(main())
