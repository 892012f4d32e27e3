"""The offsets that Kafka's group is told, so that lag tools see them. Nothing of ours ever reads them back."""

from collections.abc import Mapping

import structlog

from tillstream.errors import BrokerUnavailable, OwnershipLost
from tillstream.kafka.ports import Consumer
from tillstream.kafka.records import Place
from tillstream.kafka.watch import LoopWatch

_log = structlog.get_logger()


class ToldOffsets:
    """Belongs to one consumer loop."""

    def __init__(self, consumer: Consumer, watch: LoopWatch) -> None:
        self._consumer = consumer
        self._watch = watch
        self._told: dict[Place, int] = {}

    def __repr__(self) -> str:
        return f"<ToldOffsets of {len(self._told)} places>"

    async def tell(self, offsets: Mapping[Place, int]) -> None:
        """Unless they are known already. A failure is logged and counted: the next call tells them again."""
        if offsets == self._told:
            return
        try:
            await self._consumer.commit(offsets)
        except (BrokerUnavailable, OwnershipLost) as error:
            self._watch.retried(error)
            _log.warning("Kafka was not told the offsets; only lag tools miss them.", problem=str(error))
        else:
            self._told = dict(offsets)
