"""The topics, declared. One command creates them; no client ever does so by accident."""

from dataclasses import dataclass
from typing import Final

from tillstream.contracts.entities import EVENTS_TOPIC, FILES_TOPIC, ORDERS_TOPIC, PRODUCTS_TOPIC, USERS_TOPIC
from tillstream.contracts.records import HEADER_ROOM_BYTES, MAX_RECORD_BYTES

RECORD_PARTITIONS = 12
FILE_PARTITIONS = 3
RETENTION_DAYS = 30
# The frame of a batch and of its one record stand around the 1 MiB that a door allows.
MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + HEADER_ROOM_BYTES
_MILLISECONDS_PER_DAY = 86_400_000

# Never compacted: compaction keeps the last record of a key, which is not always its newest version.
TOPIC_CONFIG: Final[dict[str, str]] = {
    "cleanup.policy": "delete",
    "max.message.bytes": str(MAX_MESSAGE_BYTES),
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": str(RETENTION_DAYS * _MILLISECONDS_PER_DAY),
}


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it must be."""

    name: str
    partitions: int
    config: dict[str, str]


TOPICS: Final[tuple[TopicSpec, ...]] = (
    *(
        TopicSpec(name, RECORD_PARTITIONS, TOPIC_CONFIG)
        for name in (USERS_TOPIC, PRODUCTS_TOPIC, ORDERS_TOPIC, EVENTS_TOPIC)
    ),
    TopicSpec(FILES_TOPIC, FILE_PARTITIONS, TOPIC_CONFIG),
)
