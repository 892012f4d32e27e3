"""`python -m ingest_api`."""

import asyncio
import sys

from ingest_api import app
from ingest_api.settings import IngestSettings
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings
from tillstream.variables import warn_of_misspelt


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(IngestSettings)
    logs.configure(Process.INGEST_API, settings.log_level)
    await app.run(settings, stop)


def main() -> int:
    logs.configure(Process.INGEST_API)
    warn_of_misspelt()
    return serve.run(_main)


if __name__ == "__main__":
    sys.exit(main())
