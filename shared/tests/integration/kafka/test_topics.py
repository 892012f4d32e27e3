"""The topics command on a real broker."""

from typing import Any
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from support.kafka import KafkaServer
from support.ports import free_port
from tillstream.cli.main import main
from tillstream.contracts.topics import TOPIC_CONFIG, TOPICS, TopicSpec
from tillstream.errors import BrokerUnavailable, Misconfigured
from tillstream.kafka import cluster
from tillstream.kafka.topics import UNKNOWN_TOPIC, ensure_topics

pytestmark = pytest.mark.integration

DEADLINE_S = 15.0


def spec(partitions: int = 3, name: str = "", config: dict[str, str] | None = None) -> TopicSpec:
    return TopicSpec(name or f"topics-{uuid4().hex[:12]}", partitions, {**TOPIC_CONFIG, **(config or {})})


async def test_what_is_missing_is_created_once(kafka_server: KafkaServer) -> None:
    one, other = spec(), spec()
    assert await ensure_topics(kafka_server.bootstrap, [one], deadline_s=DEADLINE_S) == [one.name]
    assert await ensure_topics(kafka_server.bootstrap, [one, other], deadline_s=DEADLINE_S) == [other.name]
    assert await ensure_topics(kafka_server.bootstrap, [one, other], deadline_s=DEADLINE_S) == []


async def test_what_differs_is_named_and_left_as_it_is(kafka_server: KafkaServer) -> None:
    made = spec()
    await ensure_topics(kafka_server.bootstrap, [made], deadline_s=DEADLINE_S)
    wanted = spec(4, made.name, {"cleanup.policy": "compact"})
    for _ in range(2):
        with pytest.raises(Misconfigured) as raised:
            await ensure_topics(kafka_server.bootstrap, [wanted], deadline_s=DEADLINE_S)
        assert "has 3 partitions and should have 4" in str(raised.value)
        assert "cleanup.policy=delete and should have cleanup.policy=compact" in str(raised.value)


@pytest.mark.parametrize(
    "wrong", [spec(name="no such name!"), spec(config={"retention.ms": "soon"}), spec(partitions=0)]
)
async def test_what_the_broker_refuses_in_its_answer_is_refused_here(
    kafka_server: KafkaServer, wrong: TopicSpec
) -> None:
    with pytest.raises(Misconfigured):
        await ensure_topics(kafka_server.bootstrap, [wrong], deadline_s=DEADLINE_S)


async def test_more_copies_than_brokers_are_refused(kafka_server: KafkaServer) -> None:
    with pytest.raises(Misconfigured):
        await ensure_topics(kafka_server.bootstrap, [spec()], deadline_s=DEADLINE_S, replicas=3)


async def test_a_broker_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(BrokerUnavailable):
        await ensure_topics(f"127.0.0.1:{free_port()}", [spec()], deadline_s=DEADLINE_S)


def test_the_command_says_what_it_created(
    kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TILLSTREAM_KAFKA_BOOTSTRAP", kafka_server.bootstrap)
    assert main(["topics"]) == 0
    first = capsys.readouterr().out
    assert main(["topics"]) == 0
    assert f"All {len(TOPICS)} topics" in first
    assert "Created" not in capsys.readouterr().out


def test_the_command_says_in_one_sentence_that_kafka_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TILLSTREAM_KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    assert main(["topics"]) == 1
    assert capsys.readouterr().err.startswith("tillstream: Kafka")


class BehindTheOthers(AIOKafkaAdminClient):  # type: ignore[misc]  # aiokafka has no types
    """Every second question reaches a broker that has not heard of the topics yet, as it happens where there are several."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._descriptions = 0
        self._configs = 0

    async def describe_topics(self, topics: list[str] | None = None) -> list[Any]:
        self._descriptions += 1
        found = list(await super().describe_topics(topics))
        if self._descriptions % 2:
            return found
        return [{"topic": topic["topic"], "error_code": UNKNOWN_TOPIC, "partitions": []} for topic in found]

    async def describe_configs(self, *arguments: Any, **named: Any) -> list[Any]:
        self._configs += 1
        answers = list(await super().describe_configs(*arguments, **named))
        if self._configs % 2:
            for answer in answers:
                answer.resources = [(UNKNOWN_TOPIC, "", *place, []) for _, _, *place, _ in answer.resources]
        return answers


async def test_a_broker_that_has_not_heard_of_a_topic_yet_is_asked_again(
    kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "AIOKafkaAdminClient", BehindTheOthers)
    made = spec()
    assert await ensure_topics(kafka_server.bootstrap, [made], deadline_s=DEADLINE_S) == [made.name]
