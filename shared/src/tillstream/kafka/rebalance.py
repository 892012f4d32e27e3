"""How the group's rebalances and the consumer loop meet: the one waits for the other to lay its work down."""

import asyncio

import structlog

from tillstream.kafka.records import Place

_log = structlog.get_logger()


class Rebalance:
    """The loop's `ports.RebalanceListener`. Its callbacks only set flags, since aiokafka swallows what they raise.

    The loop looks at `revoking` and `generation` in every turn, answers the first with `laid_down`, and is `parked` while
    it waits for a server and holds nothing.
    """

    def __init__(self, patience_s: float) -> None:
        self.revoking = False
        self.parked = False
        self.generation = 0
        self._patience_s = patience_s
        self._laid_down = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Rebalance generation {self.generation}{', revoking' if self.revoking else ''}>"

    @property
    def is_settled(self) -> bool:
        """Whether the group has said what this member has, and is not dealing it out anew."""
        return self.generation > 0 and not self.revoking

    async def revoked(self, places: frozenset[Place]) -> None:
        """Waits until the running batch is finished. After `patience_s` the fence takes care of what still runs."""
        self.revoking = True
        if self.parked or not places:
            return
        self._laid_down.clear()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._laid_down.wait()
        except TimeoutError:
            _log.warning(
                "A batch still runs while its partitions are dealt out anew.", waited_s=self._patience_s
            )

    def assigned(self, places: frozenset[Place]) -> None:
        self.revoking = False
        self.generation += 1
        _log.info("Kafka assigned partitions.", partitions=len(places))

    def laid_down(self) -> None:
        """Called by the loop: nothing of what was revoked is worked on any more."""
        self._laid_down.set()
