"""An ingest-api from the harness's own composition root: the real app, which may have a bug, as may its producer."""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from faults.roots.upload_bugs import BUGS
from ingest_api import app
from ingest_api.settings import IngestSettings
from tillstream.kafka.aio import AioProducer
from tillstream.kafka.ports import Producer
from tillstream.kafka.records import Outgoing, PublishResult
from tillstream.observe import logs, serve
from tillstream.observe.definitions import Process
from tillstream.settings import load_settings

ANSWERS_BEFORE_THE_ACK = "202 before the ack"


class Hasty:
    """Says that the broker has it as soon as it is on its way."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._under_way: set[asyncio.Task[list[PublishResult]]] = set()

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def probe(self) -> None:
        await self._producer.probe()

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        task = asyncio.create_task(self._producer.publish(records, deadline_s), name="planted: hasty")
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        return [PublishResult(0, 0) for _ in records]

    def _forget(self, task: asyncio.Task[list[PublishResult]]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()


async def _main(stop: asyncio.Event) -> None:
    settings = load_settings(IngestSettings)
    producer: Producer = AioProducer(
        settings.kafka_bootstrap, client_id=Process.INGEST_API, policy=app.PRODUCER_POLICY
    )
    if os.environ["CHAOS_PLANT"] == ANSWERS_BEFORE_THE_ACK:
        producer = Hasty(producer)
    with ExitStack() as planted:
        bug = BUGS.get(os.environ["CHAOS_PLANT"])
        if bug is not None:
            bug(planted)
        service = app.build(settings, producer=producer)
        async with service.running():
            await service.work(stop)


def main() -> int:
    logs.configure(Process.INGEST_API)
    return serve.run(_main)


if __name__ == "__main__":
    sys.exit(main())
