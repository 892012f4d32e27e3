"""Rows as the worker leaves them, written straight into the tables: for tests of what readers see.

Each method takes what the test is about; the rest is filled in. Parents are the test's own business, but for user 1.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from tillstream.contracts.topics import TOPICS

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
VERSION = bytes(40)

type Moment = datetime | str
type SoldItem = tuple[int, int, str]


class ShopRows:
    """Writes on a connection in autocommit mode, as the owner of the tables."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self.user(1)

    def insert(self, table: str, **values: object) -> None:
        """One row; the columns that are not named take their defaults."""
        statement = sql.SQL("INSERT INTO shop.{} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Placeholder, values)),
        )
        self._connection.execute(statement, values)

    def run(self, statement: str) -> None:
        """Anything else."""
        self._connection.execute(statement.encode())

    def user(self, user_id: int, signup: Moment = LONG_AGO) -> None:
        self.insert(
            "users",
            user_id=user_id,
            name=f"User {user_id}",
            email=f"user{user_id}@example.org",
            signup_date=signup,
            version=VERSION,
        )

    def product(self, product_id: int, name: str | None = None, category: str = "Things") -> None:
        self.insert(
            "products",
            product_id=product_id,
            product_name=name or f"Product {product_id}",
            category=category,
            price=Decimal("1.00"),
            version=VERSION,
        )

    def order(
        self,
        order_id: int,
        at: Moment,
        total: str = "10.00",
        *,
        status: str = "paid",
        user_id: int = 1,
        items: Iterable[SoldItem] = (),
    ) -> None:
        """`items` are (product, quantity, unit price)."""
        self.insert(
            "orders",
            order_id=order_id,
            user_id=user_id,
            order_date=at,
            status=status,
            total_amount=Decimal(total),
            version=VERSION,
        )
        for number, (product_id, quantity, unit_price) in enumerate(items, start=1):
            self.insert(
                "order_items",
                order_id=order_id,
                order_item_id=number,
                product_id=product_id,
                quantity=quantity,
                unit_price=Decimal(unit_price),
                version=VERSION,
            )

    def event(
        self,
        user_id: int,
        at: Moment,
        kind: str = "page_view",
        *,
        event_id: UUID | None = None,
        **more: object,
    ) -> UUID:
        """The id of the new event."""
        made = event_id or uuid4()
        facts = {"source": "shop", "accepted_at": at, **more}
        self.insert("events", event_id=made, user_id=user_id, event_type=kind, event_timestamp=at, **facts)
        return made

    def change(self, outcome: str, **more: object) -> UUID:
        """The id of the message that a change of a user came by."""
        facts: dict[str, object] = {
            "message_id": uuid4(),
            "entity": "user",
            "version": VERSION,
            "content_hash": b"",
            "source": "shop",
            "accepted_at": LONG_AGO,
            **more,
        }
        self.insert("changes", outcome=outcome, **facts)
        return _id(facts)

    def parked(self, **more: object) -> UUID:
        """The id of an event that waits for user 7."""
        facts: dict[str, object] = {
            "message_id": uuid4(),
            "entity": "event",
            "waits_for": "user",
            "waits_key": 7,
            "version": VERSION,
            "content_hash": b"",
            "payload": b"{}",
            "content": b"{}",
            "source": "shop",
            "accepted_at": LONG_AGO,
            "expires_at": LONG_AGO,
            **more,
        }
        self.insert("parked", **facts)
        return _id(facts)

    def refused(self, payload: bytes = b"{}", **more: object) -> UUID:
        """The id of a message in quarantine."""
        facts: dict[str, object] = {
            "message_id": uuid4(),
            "content_hash": blake2b(payload, digest_size=16).digest(),
            "entity": "event",
            "reason": "invalid_timestamp",
            "message": "event_timestamp is no time.",
            "version": VERSION,
            "source": "shop",
            "accepted_at": LONG_AGO,
            **more,
        }
        self.insert("quarantine", payload=payload, **facts)
        return _id(facts)

    def job(self, status: str = "loaded", **more: object) -> UUID:
        """The id of a file job."""
        facts: dict[str, object] = {
            "job_id": uuid4(),
            "file_name": "orders.csv",
            "source": "shop",
            "claimed_at": LONG_AGO,
            "created_at": LONG_AGO,
            **more,
        }
        self.insert("file_jobs", status=status, **facts)
        return _id(facts, "job_id")

    def all_applied(self, measured_at: Moment) -> None:
        """Every partition of every topic is measured and has nothing left."""
        for topic in TOPICS:
            for partition in range(topic.partitions):
                self.progress(topic.name, partition, next_offset=5, log_end=5, measured_at=measured_at)

    def progress(self, topic: str, partition: int, **measured: object) -> None:
        """Replaces what was measured of a partition before; complete through what this measurement alone proves."""
        is_empty = measured["next_offset"] >= measured["log_end"]  # type: ignore[operator]
        measured.setdefault(
            "complete_through", measured["measured_at"] if is_empty else measured.get("last_stored_at")
        )
        self._connection.execute(
            "DELETE FROM shop.partition_progress WHERE topic = %s AND kafka_partition = %s",
            (topic, partition),
        )
        self.insert("partition_progress", topic=topic, kafka_partition=partition, **measured)


def _id(facts: Mapping[str, Any], name: str = "message_id") -> UUID:
    found: UUID = facts[name]
    return found
