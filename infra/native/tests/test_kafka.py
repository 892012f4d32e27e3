"""Kafka as the tests and `make up` run it."""

from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from support.kafka import CACHE, KafkaServer
from tillstream_native.class_archive import is_usable
from tillstream_native.kafka import Broker, class_archive, fetch_jars
from tillstream_native.tools import find_java

pytestmark = pytest.mark.integration


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        assert [error[1] for error in answer.topic_errors] == [0]
    finally:
        await admin.close()


async def _send(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def _first(bootstrap: str, topic: str) -> bytes | None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None) as consumer:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        value: bytes | None = (await consumer.getone()).value
        return value


def test_a_broker_maps_its_classes_from_an_archive(kafka_server: KafkaServer) -> None:
    pid = kafka_server.pid
    assert pid is not None
    mapped = {each.path for each in psutil.Process(pid).memory_maps()}
    assert str(class_archive(CACHE / "kafka")) in mapped


@pytest.mark.parametrize("length", [0, 100_000])
def test_an_archive_that_was_cut_off_is_not_used(tmp_path: Path, length: int) -> None:
    java = find_java()
    jars = fetch_jars(CACHE, java)
    archive = tmp_path / "classes.jsa"
    archive.write_bytes(class_archive(jars).read_bytes()[:length])
    assert not is_usable(Broker(tmp_path, jars, java, 1, 1), archive)


async def test_acknowledged_record_survives_a_killed_broker(kafka_server: KafkaServer) -> None:
    await _create(kafka_server.bootstrap, "survivor")
    await _send(kafka_server.bootstrap, "survivor", b"kept")
    before = kafka_server.pid
    kafka_server.kill()
    kafka_server.start()
    assert kafka_server.pid != before
    assert await _first(kafka_server.bootstrap, "survivor") == b"kept"


async def test_topics_are_never_created_by_asking_for_them(kafka_server: KafkaServer) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    await admin.start()
    try:
        await admin.describe_topics(["nobody_made_me"])
        assert "nobody_made_me" not in await admin.list_topics()
    finally:
        await admin.close()
