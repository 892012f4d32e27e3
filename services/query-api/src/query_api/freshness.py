"""How sure an answer is: how far the tables are behind the log, and what still waits beside them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from query_api.database import Reader, Row, Session
from tillstream.contracts.entities import EVENTS_TOPIC, ORDERS_TOPIC, PRODUCTS_TOPIC, USERS_TOPIC

REVENUE_TOPICS = (ORDERS_TOPIC,)
PRODUCT_TOPICS = (ORDERS_TOPIC, PRODUCTS_TOPIC)
RETENTION_TOPICS = (USERS_TOPIC, EVENTS_TOPIC)
FUNNEL_TOPICS = (EVENTS_TOPIC,)
RECORD_TOPICS = (EVENTS_TOPIC, ORDERS_TOPIC, PRODUCTS_TOPIC, USERS_TOPIC)


async def freshness_of(session: Session, topics: Sequence[str]) -> Row | None:
    """The `freshness` of an answer about numbers. Ask before the numbers: they are then at least as fresh as it says."""
    return await session.row("freshness_of_topics", {"topics": list(topics)})


async def report_freshness(reader: Reader, now: datetime) -> dict[str, Any]:
    """Every topic by itself, with the partitions that the worker stopped."""
    async with reader.session() as session:
        topics = await session.rows("freshness_by_topic")
        stopped = await session.rows("stopped_partitions")
        unfinished = await session.row("unfinished_files")
    for topic in topics:
        topic["stopped"] = [
            {"partition": each["partition"], "stopped_at": each["stopped_at"], "reason": each["reason"]}
            for each in stopped
            if each["topic"] == topic["topic"]
        ]
    return {
        "topics": topics,
        "unfinished_files": unfinished["files"] if unfinished else None,
        "timestamp": now,
    }
