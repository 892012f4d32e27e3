"""Topic ids as brokers of several ages answer; a real one is asked by the contract suite."""

from typing import Any, override
from uuid import UUID

import pytest
from aiokafka.protocol.api import ResponseHeader_v1

from tillstream.errors import BrokerUnavailable, Misconfigured
from tillstream.kafka.topic_ids import NO_ID, TopicIds

pytestmark = pytest.mark.unit

ID = UUID("11111111-2222-3333-4444-555555555555")
NO_TOPIC, NO_LEADER, NOT_ALLOWED = 3, 5, 29  # error codes


class Answering:
    """In place of a connected client: a broker that knows Metadata up to some version."""

    def __init__(self, version: int, topics: list[tuple[int, str, UUID]]) -> None:
        self._version = version
        self._topics = topics
        self.is_closed = False

    def get_random_node(self) -> int:
        return 1

    async def send(self, _node: int, request: Any) -> Any:
        """Over the wire and back."""
        struct = request.prepare({3: (0, self._version)})
        asked = struct.decode(struct.encode())
        assert [name for _, name, _ in asked.topics] == sorted(topic for _, topic, _ in self._topics)
        partitions: list[Any] = [(0, 0, 1, 5, [1, 2], [1], [2], {})]
        topics: list[Any] = [
            (code, name, topic_id, False, partitions, -1, {}) for code, name, topic_id in self._topics
        ]
        brokers: list[Any] = [(1, "localhost", 9092, None, {})]
        answer = struct.RESPONSE_TYPE(0, brokers, "cluster", 1, topics, -1, {})
        assert struct.parse_response_header(ResponseHeader_v1(7, {}).encode()).correlation_id == 7
        return struct.RESPONSE_TYPE.decode(answer.encode())

    async def close(self) -> None:
        self.is_closed = True


class Asking(TopicIds):
    def __init__(self, client: Answering) -> None:
        super().__init__("nowhere:1", "test", deadline_s=5.0)
        self._answering = client

    @override
    async def _connected(self) -> Any:
        return self._answering


async def ask(version: int, *topics: tuple[int, str, UUID]) -> dict[str, UUID]:
    return await Asking(Answering(version, list(topics))).ask([name for _, name, _ in topics])


async def test_ids_come_by_name() -> None:
    assert await ask(10, (0, "a", ID), (NO_LEADER, "b", UUID(int=7))) == {"a": ID, "b": UUID(int=7)}


async def test_a_broker_that_is_too_old_knows_none() -> None:
    assert await ask(9, (0, "a", ID)) == {}


async def test_the_zero_id_is_none() -> None:
    assert await ask(13, (0, "a", NO_ID), (0, "b", ID)) == {"b": ID}


@pytest.mark.parametrize(("code", "error"), [(NO_TOPIC, BrokerUnavailable), (NOT_ALLOWED, Misconfigured)])
async def test_a_topic_that_is_not_there_or_not_shown_is_said_so(code: int, error: type[Exception]) -> None:
    client = Answering(10, [(code, "a", NO_ID)])
    with pytest.raises(error, match="a"):
        await Asking(client).ask(["a"])
    assert client.is_closed
