"""`python -m file_watcher`."""

import asyncio
import sys

from file_watcher import app
from file_watcher.settings import WatcherSettings
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings
from tillstream.variables import warn_of_misspelt


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(WatcherSettings)
    logs.configure(Process.FILE_WATCHER, settings.log_level)
    await app.run(settings, stop)


def main() -> int:
    logs.configure(Process.FILE_WATCHER)
    warn_of_misspelt()
    return serve.run(_main)


if __name__ == "__main__":
    sys.exit(main())
