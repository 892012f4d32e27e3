"""Creates the topics that are missing and compares those that exist with what they should be. Nothing is ever changed."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tillstream.errors import Misconfigured
from tillstream.kafka.cluster import MS, in_the_end, make_admin
from tillstream.kafka.failures import translate, translated

LOOK_EVERY_S = 0.05
NO_ERROR = kafka.NoError.errno
UNKNOWN_TOPIC = kafka.UnknownTopicOrPartitionError.errno
# Another process may have been first; what it made is compared like any other.
FINE_IN_ANSWER = (NO_ERROR, kafka.TopicAlreadyExistsError.errno)
FINE_IN_DESCRIPTION = (NO_ERROR, kafka.LeaderNotAvailableError.errno)
NO_LEADER = -1


class TopicSpec(Protocol):
    """What a topic should be; `tillstream.contracts.topics` has them."""

    @property
    def name(self) -> str: ...

    @property
    def partitions(self) -> int: ...

    @property
    def config(self) -> Mapping[str, str]: ...


async def ensure_topics(
    bootstrap: str, specs: Sequence[TopicSpec], *, deadline_s: float, replicas: int = 1
) -> list[str]:
    """Create what is missing, check what exists, and return the names of those created. May be repeated.

    Returns once every partition has a leader. Raises Misconfigured with one sentence per difference,
    BrokerUnavailable when Kafka does not answer within `deadline_s`.
    """
    admin = make_admin(bootstrap, deadline_s)
    with translated():
        async with in_the_end(admin.close), asyncio.timeout(deadline_s):
            await admin.start()
            missing = await _missing(admin, specs)
            await _create(admin, missing, replicas, deadline_s)
            partitions = await _wait_for_leaders(admin, specs)
            problems = [*_wrong_partitions(partitions, specs), *await _wrong_configs(admin, specs)]
    if problems:
        raise Misconfigured(" ".join(problems))
    return [spec.name for spec in missing]


def _meaning(code: int, said: str) -> Exception:
    """The error that a code in an answer stands for."""
    error = kafka.for_code(code)(said)
    return translate(error) or error


async def _described(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> dict[str, Any]:
    wanted = {spec.name for spec in specs}
    found = [
        each for each in await admin.describe_topics(sorted(wanted)) if each["error_code"] != UNKNOWN_TOPIC
    ]
    for topic in found:
        if topic["error_code"] not in FINE_IN_DESCRIPTION:
            raise _meaning(topic["error_code"], topic["topic"])
    return {topic["topic"]: topic for topic in found}


async def _missing(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> list[TopicSpec]:
    found = await _described(admin, specs)
    return [spec for spec in specs if spec.name not in found]


async def _create(
    admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], replicas: int, deadline_s: float
) -> None:
    if not specs:
        return
    new = [
        NewTopic(
            name=spec.name,
            num_partitions=spec.partitions,
            replication_factor=replicas,
            topic_configs=dict(spec.config),
        )
        for spec in specs
    ]
    answer = await admin.create_topics(new, timeout_ms=int(deadline_s * MS))
    for topic, code, *said in answer.topic_errors:  # aiokafka raises nothing for these
        if code not in FINE_IN_ANSWER:
            raise _meaning(code, f"{topic}: {said[0] if said and said[0] else 'no reason given'}")


async def _wait_for_leaders(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> dict[str, int]:
    """The number of partitions of each topic. A new one is listed before all its partitions have a leader.

    The caller's deadline bounds this. Of several brokers each question may reach another one, and what one of them lists the
    next may not know yet: so the answer that was whole is the one that counts.
    """
    while True:
        found = await _described(admin, specs)
        leaders = [part["leader"] for topic in found.values() for part in topic["partitions"]]
        if len(found) == len(specs) and leaders and NO_LEADER not in leaders:
            return {name: len(topic["partitions"]) for name, topic in found.items()}
        await asyncio.sleep(LOOK_EVERY_S)


def _wrong_partitions(counts: Mapping[str, int], specs: Sequence[TopicSpec]) -> list[str]:
    return [
        f"Topic {spec.name} has {counts[spec.name]} partitions and should have {spec.partitions}."
        for spec in specs
        if counts[spec.name] != spec.partitions
    ]


async def _wrong_configs(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> list[str]:
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, spec.name, dict(spec.config))
        for spec in specs
        if spec.config
    ]
    if not resources:
        return []
    actual = await _configs(admin, resources)
    return [
        f"Topic {spec.name} has {key}={actual[spec.name].get(key)} and should have {key}={wanted}."
        for spec in specs
        for key, wanted in spec.config.items()
        if actual[spec.name].get(key) != wanted
    ]


async def _configs(
    admin: AIOKafkaAdminClient, resources: Sequence[ConfigResource]
) -> dict[str, dict[str, str]]:
    """What each topic is set to. A broker that does not know one of them yet is asked again; the caller's deadline bounds this."""
    while True:
        answers = [each for answer in await admin.describe_configs(resources) for each in answer.resources]
        for code, said, _kind, name, _entries in answers:
            if code not in {NO_ERROR, UNKNOWN_TOPIC}:
                raise _meaning(code, f"{name}: {said}")
        if all(code == NO_ERROR for code, *_ in answers):
            return {name: {entry[0]: entry[1] for entry in entries} for *_, name, entries in answers}
        await asyncio.sleep(LOOK_EVERY_S)
