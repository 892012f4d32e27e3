"""`python -m etl_worker.file_loader`."""

import asyncio
import sys

from etl_worker.file_loader import app
from etl_worker.file_loader.settings import LoaderSettings
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(LoaderSettings)
    logs.configure(Process.FILE_LOADER, settings.log_level)
    await app.run(settings, stop)


def main() -> int:
    logs.configure(Process.FILE_LOADER)
    return serve.run(_main)


if __name__ == "__main__":
    sys.exit(main())
