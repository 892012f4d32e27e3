"""Kafka's ids of topics: a topic that was made anew has another one under its old name (KIP-516).

A broker tells them from version 10 of its Metadata answer on, and aiokafka asks for version 5 at most. Only what that
version is made of stands here: https://kafka.apache.org/protocol#The_Messages_Metadata
"""

import asyncio
from collections.abc import Collection
from io import BytesIO
from typing import Any, override
from uuid import UUID

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from tillstream.errors import BrokerUnavailable
from tillstream.kafka.cluster import make_client
from tillstream.kafka.failures import translated

METADATA, VERSION = 3, 10
UUID_BYTES = 16
NO_ID = UUID(int=0)


class _Uuid(AbstractType):  # type: ignore[misc] # aiokafka's classes have no types
    @classmethod
    @override
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    @override
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(UUID_BYTES))


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = METADATA
    API_VERSION = VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = METADATA
    API_VERSION = VERSION
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataStruct]):  # type: ignore[misc]
    API_KEY = METADATA

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    @override
    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        topics: list[tuple[UUID, str, dict[int, bytes]]] = [
            (NO_ID, topic, {}) for topic in sorted(self._topics)
        ]
        return request_struct_class(topics, False, False, False, {})


class TopicIds:
    """Asks on a connection of its own, which stays open: on the consumer's, an answer would wait behind its fetches."""

    def __init__(self, bootstrap: str, client_id: str, deadline_s: float) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._deadline_s = deadline_s
        self._client: AIOKafkaClient | None = None

    def __repr__(self) -> str:
        return f"<TopicIds of {self._bootstrap}: {'connected' if self._client else 'not connected'}>"

    async def ask(self, topics: Collection[str]) -> dict[str, UUID]:
        """The ids of these topics, as far as the broker knows ids: one before Kafka 2.8 does not.

        Raises BrokerUnavailable, also for a topic that is not there (any more); then the next call connects anew.
        """
        if not topics:
            return {}
        try:
            with translated():
                async with asyncio.timeout(self._deadline_s):
                    client = self._client = self._client or await self._connected()
                    answer = await client.send(client.get_random_node(), _MetadataRequest(topics))
                    return dict(filter(None, map(_id_of, answer.topics)))
        except NotImplementedError:  # how aiokafka says that a broker does not have a version of the request
            return {}
        except BaseException:
            await self.close()
            raise

    async def _connected(self) -> AIOKafkaClient:
        client = make_client(self._bootstrap, self._client_id, self._deadline_s)
        try:
            await client.bootstrap()
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """May be repeated, and `ask` may follow."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _id_of(described: Any) -> tuple[str, UUID] | None:
    code, topic, topic_id, *_ = described
    if code == kafka.UnknownTopicOrPartitionError.errno:
        raise BrokerUnavailable(f"Kafka has no topic {topic} now.")
    if code not in {kafka.NoError.errno, kafka.LeaderNotAvailableError.errno}:
        raise kafka.for_code(code)(topic)
    return None if topic_id == NO_ID else (topic, topic_id)
