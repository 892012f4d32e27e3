"""Fixtures: a real Apache Kafka per test process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import free_port
from tillstream_native.class_archive import archive_classes
from tillstream_native.kafka import Broker, fetch_jars
from tillstream_native.processes import Child
from tillstream_native.tools import find_java

READY_WITHIN_S = 60
CACHE = Path(os.environ.get("CACHE") or Path(__file__).parents[2] / ".cache")


class KafkaServer:
    """A broker that a test may stop, start and kill; it keeps its port and its log."""

    def __init__(self, broker: Broker, place: Path) -> None:
        self.broker = broker
        self._child = Child(broker.program(), place)

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    @property
    def port(self) -> int:
        return self.broker.port

    @property
    def pid(self) -> int | None:
        """The JVM's, or None while it is down."""
        return self._child.pid

    @property
    def log(self) -> Path:
        return self._child.log

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._child.start()
        self._child.wait_until(self.broker.ready, READY_WITHIN_S)

    def stop(self) -> None:
        """A controlled shutdown."""
        self._child.stop()

    def kill(self) -> None:
        """A crash."""
        self._child.kill()


def run_kafka(place: Path) -> Iterator[KafkaServer]:
    """A new broker in a folder, running until the caller goes on."""
    java = find_java()
    jars = fetch_jars(CACHE, java)
    archive_classes(jars, java)
    broker = Broker(place / "kafka", jars, java, free_port(), free_port())
    broker.create()
    server = KafkaServer(broker, place)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka_server(server_place: Path) -> Iterator[KafkaServer]:
    """Apache Kafka for this test process, without topics; whoever stops it starts it again."""
    yield from run_kafka(server_place)
