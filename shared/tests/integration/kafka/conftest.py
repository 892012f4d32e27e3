"""Fixtures: a station with a topic of its own on a real broker, and the way to a real database."""

from collections.abc import AsyncIterator

import pytest

from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.testing.proxy import HOST, Proxy

from .stations import Station


@pytest.fixture
async def station(kafka_server: KafkaServer, database: Database) -> Station:
    station = Station(kafka_server.bootstrap, database)
    await station.open()
    return station


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[Proxy]:
    """In front of the database's server."""
    proxy = Proxy(HOST, database.server.port)
    await proxy.start()
    yield proxy
    await proxy.stop()
