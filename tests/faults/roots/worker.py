"""An etl-worker from the harness's own composition root: the real app on wrapped ports, with crash points and, if asked, a bug."""

import asyncio
import os
import sys
from contextlib import ExitStack
from dataclasses import replace

from etl_worker import app
from etl_worker.settings import WorkerSettings
from faults.roots.consumer import soon_missed
from faults.roots.crashes import CrashPoints
from faults.roots.worker_bugs import BUGS
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(WorkerSettings)
    consumer = soon_missed(settings.kafka_bootstrap, Process.ETL_WORKER)
    ports = replace(app.real_ports(settings), consumer=consumer)
    ports = CrashPoints(os.environ["CHAOS_CRASH_FILE"]).around(ports)
    with ExitStack() as planted:
        bug = BUGS.get(os.environ["CHAOS_PLANT"])
        if bug is not None:
            ports = bug(ports, settings, planted)
        await app.build(settings, ports).run(stop)


def main() -> int:
    logs.configure(Process.ETL_WORKER)
    return serve.run(_main)


if __name__ == "__main__":
    sys.exit(main())
