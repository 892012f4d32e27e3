"""What is asked of a cluster beside its records: which one it is, and whether it has the topics; and the clients for that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient

from tillstream.errors import BrokerUnavailable, Misconfigured
from tillstream.kafka.failures import translated
from tillstream.kafka.records import Place

MS = 1_000
CLOSE_WITHIN_S = 2.0

_log = structlog.get_logger()


async def check_topics(consumer: AIOKafkaConsumer, topics: Sequence[str], deadline_s: float) -> None:
    """aiokafka would wait for a missing topic in silence."""
    try:
        with translated():
            async with asyncio.timeout(deadline_s):
                missing = sorted(set(topics) - await consumer.topics())
    except kafka.KafkaError as error:
        if type(error) is not kafka.KafkaError:
            raise
        raise BrokerUnavailable("Kafka does not list its topics.") from error
    if missing:
        raise missing_topics(missing)


def missing_topics(topics: Iterable[str]) -> Misconfigured:
    """The error for topics that are not there."""
    return Misconfigured(
        f"Kafka has no topic {', '.join(topics)}; `tillstream topics` creates what is missing."
    )


async def cluster_id(bootstrap: str, deadline_s: float) -> str:
    """The identity of the cluster behind an address. Raises BrokerUnavailable."""
    admin = make_admin(bootstrap, deadline_s)
    with translated():
        async with in_the_end(admin.close), asyncio.timeout(deadline_s):
            await admin.start()
            return await cluster_of(admin)


def make_admin(bootstrap: str, deadline_s: float) -> AIOKafkaAdminClient:
    """Like the other two not started yet; each of its requests may take that long."""
    return AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(deadline_s * MS))


def make_client(bootstrap: str, client_id: str, deadline_s: float) -> AIOKafkaClient:
    """For requests that no other client of aiokafka's makes."""
    return AIOKafkaClient(
        bootstrap_servers=bootstrap, client_id=client_id, request_timeout_ms=int(deadline_s * MS)
    )


def make_reader(bootstrap: str, client_id: str, deadline_s: float) -> AIOKafkaConsumer:
    """A consumer in no group, which is asked where logs begin and end."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        group_id=None,
        enable_auto_commit=False,
        request_timeout_ms=int(deadline_s * MS),
    )


async def cluster_of(admin: AIOKafkaAdminClient) -> str:
    """The identity of the cluster that a started client speaks with. Raises aiokafka's errors as they are."""
    return str((await admin.describe_cluster())["cluster_id"])


@asynccontextmanager
async def in_the_end(close: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Closes a client after the block, however that ended; one that does not close in CLOSE_WITHIN_S is left."""
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await close()
        except TimeoutError:
            _log.warning("Kafka's client did not close in time.", limit_s=CLOSE_WITHIN_S)


async def ask_log_ends(bootstrap: str, client_id: str, places: Collection[Place], deadline_s: float) -> None:
    """Ask where logs end, on a connection of its own. Raises BrokerUnavailable where Kafka does not say so of each."""
    reader = make_reader(bootstrap, client_id, deadline_s)
    with translated():
        async with in_the_end(reader.stop), asyncio.timeout(deadline_s):
            await reader.start()
            await reader.end_offsets([TopicPartition(*place) for place in places])
