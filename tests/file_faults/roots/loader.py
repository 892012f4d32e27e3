"""A file-loader from a composition root of its own: the real app, whose every call of a port and change on the disk is a step."""

import asyncio
import os
import sys
from dataclasses import replace
from typing import Any, cast

from etl_worker.file_loader import app
from etl_worker.file_loader.app import Ports
from etl_worker.file_loader.settings import LoaderSettings
from faults.roots.consumer import soon_missed
from file_faults.roots.loader_plants import PLANTS
from file_faults.roots.steps import PLANT, Steps
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings

IDLE = frozenset({"claimed", "ended", "states", "running"})  # what it does between two jobs
QUEUE = "queue"  # what it does while another file may be loaded is no step with that file


class Wired:
    """Passes every call on to a port, with a step before it. The steps of a job begin when it is taken or queued."""

    def __init__(self, port: object, steps: Steps) -> None:
        self._port = port
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name == "take":
            return self._taking(call)
        if name in {"kind", "queue"}:
            return self._steps.around(call, name, QUEUE)
        return call if name in IDLE else self._steps.around(call, name)

    def _taking(self, take: Any) -> Any:
        async def taking(*arguments: Any) -> Any:
            job = await take(*arguments)
            if job is not None:
                self._steps.begin(job.file_name)
                self._steps.reach("taken")
            return job

        return taking


class Telling:
    """A consumer; that it tells the broker of what is committed is a step: the one after the commit of a queue."""

    def __init__(self, consumer: object, steps: Steps) -> None:
        self._consumer = consumer
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._consumer, name)
        return self._steps.around(call, "tell", QUEUE) if name == "commit" else call


def wire_up(ports: Ports, steps: Steps) -> Ports:
    return replace(
        ports,
        consumer=cast("Any", Telling(ports.consumer, steps)),
        jobs=cast("Any", Wired(ports.jobs, steps)),
        desk=cast("Any", Wired(ports.desk, steps)),
        apply=steps.around(ports.apply, "apply"),
        wake=steps.around(ports.wake, "wake"),
        rows=lambda entity, job: cast("Any", Wired(ports.rows(entity, job), steps)),
        commit=steps.around(ports.commit, "commit"),
    )


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(LoaderSettings)
    steps = Steps()
    consumer = soon_missed(settings.kafka_bootstrap, Process.FILE_LOADER)
    ports = replace(app.real_ports(settings), consumer=consumer)
    plant = PLANTS.get(os.environ.get(PLANT, ""))
    ports = plant(ports) if plant else ports
    service = app.build(settings, wire_up(ports, steps))
    async with service.running():
        steps.hear(settings.data_dir, lambda _: None)
        await service.work(stop)


if __name__ == "__main__":
    logs.configure(Process.FILE_LOADER)
    sys.exit(serve.run(_main))
