"""Fixtures: one world after the other, and clients that are closed again."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from support.kafka import KafkaServer
from tillstream.kafka.ports import Consumer, Producer
from tillstream.testing.waiting import eventually

from .worlds import STOP_S, Group, MemoryWorld, RealWorld, World

type Join = Callable[..., Awaitable[tuple[Consumer, Group]]]


@pytest.fixture(params=["memory", "real"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return MemoryWorld()
    server: KafkaServer = request.getfixturevalue("kafka_server")
    return RealWorld(server.bootstrap)


@pytest.fixture
async def producer(world: World) -> AsyncIterator[Producer]:
    producer = world.producer()
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def join(world: World) -> AsyncIterator[Join]:
    """Makes a member of a group and, unless told not to, waits until it has its places."""
    members: list[Consumer] = []

    async def join_group(group: str, *topics: str, wait: bool = True) -> tuple[Consumer, Group]:
        member, listener = world.consumer(group), Group()
        members.append(member)
        await member.start(topics, listener)
        if wait:
            await eventually(lambda: listener.assigned_to)
        return member, listener

    yield join_group
    for member in members:
        await member.stop(STOP_S)
