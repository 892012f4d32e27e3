"""A producer of file jobs; before and after the broker has them there is a step."""

from collections.abc import Sequence

from file_faults.roots.steps import Steps
from tillstream.kafka.ports import Producer
from tillstream.kafka.records import Outgoing, PublishResult


class Sending:
    def __init__(self, producer: Producer, steps: Steps) -> None:
        self._producer = producer
        self._steps = steps

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def probe(self) -> None:
        await self._producer.probe()

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        self._steps.reach("send")
        results = await self._producer.publish(records, deadline_s)
        self._steps.reach("sent")
        return results
