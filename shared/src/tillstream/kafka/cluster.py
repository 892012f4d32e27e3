"""What is asked of a cluster beside its records: which one it is, and whether it has the topics."""

import asyncio
from collections.abc import Collection, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient

from tillstream.errors import BrokerUnavailable, Misconfigured
from tillstream.kafka.failures import translated
from tillstream.kafka.records import Place

MS = 1_000


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
        raise Misconfigured(
            f"Kafka has no topic {', '.join(missing)}; `tillstream topics` creates what is missing."
        )


async def cluster_id(bootstrap: str, deadline_s: float) -> str:
    """The identity of the cluster behind an address. Raises BrokerUnavailable."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(deadline_s * MS))
    try:
        with translated():
            async with asyncio.timeout(deadline_s):
                await admin.start()
                cluster = await admin.describe_cluster()
    finally:
        await admin.close()
    return str(cluster["cluster_id"])


async def ask_log_ends(bootstrap: str, client_id: str, places: Collection[Place], deadline_s: float) -> None:
    """Ask where logs end, on a connection of its own. Raises BrokerUnavailable where Kafka does not say so of each."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        group_id=None,
        enable_auto_commit=False,
        request_timeout_ms=int(deadline_s * MS),
    )
    try:
        with translated():
            async with asyncio.timeout(deadline_s):
                await consumer.start()
                await consumer.end_offsets([TopicPartition(*place) for place in places])
    finally:
        await consumer.stop()
