"""A file-loader from the harness's own composition root: the real app on wrapped ports, with crash points and, if asked, a bug."""

import asyncio
import os
import sys
from dataclasses import replace

from etl_worker.file_loader import app
from etl_worker.file_loader.settings import LoaderSettings
from etl_worker.process import owner
from faults.roots.crashes import CrashPoints
from faults.roots.loader_bugs import BUGS
from faults.roots.worker import HEARTBEAT_S, SESSION_S
from tillstream.kafka.aio import AioConsumer, ConsumerPolicy
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(LoaderSettings)
    consumer = AioConsumer(
        settings.kafka_bootstrap,
        group=Process.FILE_LOADER,
        client_id=owner(Process.FILE_LOADER),
        policy=ConsumerPolicy(session_s=SESSION_S, heartbeat_s=HEARTBEAT_S),
    )
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
