"""`python hanging_watcher.py ROOT start|scan`: a watcher whose look at its folders never comes back from the system, at its start or later."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from file_watcher.app import build
from file_watcher.settings import WatcherSettings
from tillstream.clock import SystemClock
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.folders import Folders
from tillstream.kafka.memory import MemoryBroker, MemoryProducer
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process


async def _main(stop: asyncio.Event) -> None:
    root = Path(sys.argv[1])
    clock = SystemClock()
    broker = MemoryBroker(clock)
    broker.create_topic(FILES_TOPIC, 3)
    app = build(WatcherSettings(data_dir=root, ops_port=0), producer=MemoryProducer(broker), clock=clock)
    silent, _ = os.pipe()
    true = os.scandir

    def hanging(folder: Any) -> Any:
        if app.is_open and Path(os.fsdecode(folder)) == root / "input":
            os.read(silent, 1)
        return true(folder)

    if sys.argv[2] == "start":
        Folders.create = lambda _: os.read(silent, 1)  # type: ignore[assignment,method-assign]
    else:
        os.scandir = hanging  # type: ignore[assignment]
    await app.serve(stop)


if __name__ == "__main__":
    logs.configure(Process.FILE_WATCHER)
    sys.exit(serve.run(_main))
