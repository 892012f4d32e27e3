"""The doors through which the rest of the code sees Kafka. `aio` and `memory` implement them; one suite tests both."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from tillstream.kafka.records import Outgoing, Place, PublishResult, Record

Each = Callable[[Sequence[Record]], Awaitable[None]]


async def nothing_yet(_records: Sequence[Record]) -> None:
    """For callers that wait until a fetch is over."""


class Producer(Protocol):
    """Publishes records and says of each one what became of it."""

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable; may then be called again."""
        ...

    async def stop(self) -> None:
        """Finish what is in flight, within a limit of its own, and disconnect. May be repeated."""
        ...

    async def publish(self, records: Sequence[Outgoing], deadline_s: float) -> list[PublishResult]:
        """One result per record, in the order given, within `deadline_s` seconds.

        Raises ProducerFull, with nothing sent, when the bound on waiting records or bytes is reached.
        """
        ...

    async def probe(self) -> None:
        """Ask the broker for its cluster. Raises BrokerUnavailable when it does not answer."""
        ...


class RebalanceListener(Protocol):
    """Told by the consumer about its group. Neither method may raise."""

    async def revoked(self, places: frozenset[Place]) -> None:
        """Called before a rebalance; the rebalance waits until it returns. No record arrives meanwhile."""
        ...

    def assigned(self, places: frozenset[Place]) -> None:
        """Called when the group has given these places, and only these, to this member. Nothing arrives before `seek`."""
        ...


class Consumer(Protocol):
    """One member of a consumer group. It has no memory of its own where to go on: `seek` says so, in every assignment."""

    async def start(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Connect and join the group. Raises BrokerUnavailable (may then be repeated), Misconfigured for a missing topic."""
        ...

    async def stop(self, deadline_s: float) -> None:
        """Leave the group and disconnect, giving up after `deadline_s` seconds. May be repeated. `revoked` is not called."""
        ...

    def assigned(self) -> frozenset[Place]:
        """The places that the group gives to this member now."""
        ...

    async def fetch(
        self, *, max_records: int, max_bytes: int, wait_s: float, each: Each = nothing_yet
    ) -> Sequence[Record]:
        """Up to `max_records` records of the places that were sought in this assignment, each place in order.

        `each` gets them in parts as they come, in this order; of what came last, some may not be returned. The fetch goes
        on when it returns.
        Waits up to `wait_s` seconds for the first one and returns nothing when none came or a rebalance began.
        It ends with the record that reaches `max_bytes` of keys, values and headers. Raises BrokerUnavailable, Misconfigured.
        """
        ...

    def seek(self, place: Place, offset: int) -> None:
        """Go on with this offset. Raises OwnershipLost when the place is not assigned."""
        ...

    def pause(self, places: Collection[Place]) -> None:
        """Fetch nothing from these places until `resume`. Places that are not assigned are passed over."""
        ...

    def resume(self, places: Collection[Place]) -> None: ...

    async def passed_over(self) -> dict[Place, tuple[int, int]]:
        """Where the log goes on without a record after the last one fetched, from where and to where: a broker notes there
        how a transaction ended. Only places that are being fetched from."""
        ...

    async def log_starts(self, places: Collection[Place]) -> dict[Place, int]:
        """The first offset that each log still has. Raises BrokerUnavailable."""
        ...

    async def log_ends(self, places: Collection[Place]) -> dict[Place, int]:
        """The offset that each log's next record will get. Raises BrokerUnavailable."""
        ...

    async def ask_anew(self) -> None:
        """Whether Kafka says where the assigned logs end to a client that is new and has a connection of its own.

        Raises BrokerUnavailable where it does not.
        """
        ...

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        """Tell the group's offsets to Kafka, for tools that show lag. Raises BrokerUnavailable, OwnershipLost."""
        ...

    async def cluster_id(self) -> str:
        """The identity of the cluster. Raises BrokerUnavailable."""
        ...

    async def topic_ids(self, topics: Collection[str]) -> dict[str, UUID]:
        """What tells these topics from others of the same name, before and after them; none where the broker knows no such
        ids. Raises BrokerUnavailable, also for a topic that is not there (any more)."""
        ...
