"""An ingest-api from a composition root of its own: the real app; what it does on the disk for an upload, and its job, are steps."""

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from file_faults.roots.claim_plants import plant
from file_faults.roots.sending import Sending
from file_faults.roots.steps import PLANT, Steps
from ingest_api import app
from ingest_api.settings import IngestSettings
from ingest_api.upload_folder import PARTIAL_SUFFIX, NewFile
from tillstream.kafka.aio import AioProducer
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings


def _begun(path: Path) -> str | None:
    return "upload" if path.suffix == PARTIAL_SUFFIX else None


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(IngestSettings)
    assert settings.data_dir is not None
    steps = Steps()
    real = AioProducer(settings.kafka_bootstrap, client_id=Process.INGEST_API, policy=app.PRODUCER_POLICY)
    producer = Sending(real, steps)
    service = app.build(settings, producer=producer)
    with ExitStack() as planted:
        plant(os.environ.get(PLANT, ""), planted, producer)
        planted.enter_context(mock.patch.object(NewFile, "write", steps.around(NewFile.write, "write")))
        async with service.running():
            steps.hear(settings.data_dir, _begun)
            await service.work(stop)


if __name__ == "__main__":
    logs.configure(Process.INGEST_API)
    sys.exit(serve.run(_main))
