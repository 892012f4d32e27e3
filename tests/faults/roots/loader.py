"""A file-loader from the harness's own composition root: the real app on wrapped ports, with crash points and, if asked, a bug."""

import asyncio
import os
import sys
from dataclasses import replace

from etl_worker.file_loader import app
from etl_worker.file_loader.settings import LoaderSettings
from faults.roots.consumer import soon_missed
from faults.roots.crashes import CrashPoints
from faults.roots.loader_bugs import BUGS
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(LoaderSettings)
    consumer = soon_missed(settings.kafka_bootstrap, Process.FILE_LOADER)
    ports = replace(app.real_ports(settings), consumer=consumer)
    ports = CrashPoints(os.environ["CHAOS_CRASH_FILE"]).around_files(ports)
    bug = BUGS.get(os.environ["CHAOS_PLANT"])
    service = app.build(settings, bug(ports) if bug else ports)
    async with service.running():
        await service.work(stop)


def main() -> int:
    logs.configure(Process.FILE_LOADER)
    return serve.run(_main)


if __name__ == "__main__":
    sys.exit(main())
