"""A file-watcher from a composition root of its own: the real app, whose every change on the disk and every job sent is a step."""

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from file_faults.roots.claim_plants import plant
from file_faults.roots.sending import Sending
from file_faults.roots.steps import PLANT, Steps
from file_watcher import app
from file_watcher.settings import WatcherSettings
from tillstream.folders import Folders
from tillstream.kafka.aio import AioProducer
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings

DATA = frozenset({".csv", ".gz", ".txt"})


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(WatcherSettings)
    steps = Steps()
    inbox = Folders(settings.data_dir).input
    producer = Sending(AioProducer(settings.kafka_bootstrap, client_id=Process.FILE_WATCHER), steps)
    service = app.build(settings, producer=producer)

    def claimed(path: Path) -> str | None:
        """A file is looked at before it is claimed."""
        return path.name if inbox in path.parents and path.suffix in DATA else None

    with ExitStack() as planted:
        plant(os.environ.get(PLANT, ""), planted, producer)
        async with service.running():
            steps.hear(settings.data_dir, claimed)
            await service.work(stop)


if __name__ == "__main__":
    logs.configure(Process.FILE_WATCHER)
    sys.exit(serve.run(_main))
