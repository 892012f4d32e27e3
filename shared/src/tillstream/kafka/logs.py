"""Where the logs of a topic begin and end, asked without being anybody's consumer."""

import asyncio
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient

from tillstream.kafka.cluster import cluster_of, in_the_end, make_admin, make_reader, missing_topics
from tillstream.kafka.failures import translated
from tillstream.kafka.records import LogIdentity, Place
from tillstream.kafka.topic_ids import TopicIds

OPERATOR = "operator"


class Log(NamedTuple):
    """The first offset that is still there, and the offset that the next record will get."""

    start: int
    end: int


class Logs(NamedTuple):
    """A topic as it is now."""

    identity: LogIdentity
    by_place: dict[Place, Log]


async def read_logs(bootstrap: str, topic: str, deadline_s: float) -> Logs:
    """Raises Misconfigured for a topic that is not there, BrokerUnavailable when Kafka does not answer in time."""
    admin = make_admin(bootstrap, deadline_s)
    reader = make_reader(bootstrap, OPERATOR, deadline_s)
    ids = TopicIds(bootstrap, OPERATOR, deadline_s)
    with translated():
        async with (
            in_the_end(admin.close),
            in_the_end(reader.stop),
            in_the_end(ids.close),
            asyncio.timeout(deadline_s),
        ):
            await admin.start()
            await reader.start()
            cluster_id = await cluster_of(admin)
            partitions = await _partitions(admin, topic)
            topic_id = (await ids.ask([topic])).get(topic)
            starts = await reader.beginning_offsets(partitions)
            ends = await reader.end_offsets(partitions)
    logs = {Place(*each): Log(starts[each], ends[each]) for each in partitions}
    return Logs(LogIdentity(cluster_id, topic_id), logs)


async def _partitions(admin: AIOKafkaAdminClient, topic: str) -> list[TopicPartition]:
    [described] = await admin.describe_topics([topic])
    if described["error_code"] == kafka.UnknownTopicOrPartitionError.errno:
        raise missing_topics([topic])
    return [TopicPartition(topic, each["partition"]) for each in described["partitions"]]
