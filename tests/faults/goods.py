"""What a shop's applications send: a stream of requests, drawn from a seed, with everything in it that clients do wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from random import Random
from typing import Any
from uuid import UUID

from faults.ledger import Fate, Item
from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import request_message_id, resolve_event_id
from tillstream.contracts.topics import RECORD_PARTITIONS
from tillstream.demo.stream import ROUTE_OF
from tillstream.kafka.partitions import partition_of

SOURCE = "chaos"
PRODUCTS = 20
FIRST_USERS = 20
LOWER_USERS = FIRST_USERS // 2
MOST_USERS = 2_000
AHEAD_USERS = 8  # how far events run ahead of their parents
FIRST_RIVAL = 5_000_000
FIRST_ORPHAN = 9_000_000
MOST_EVENTS = 60
DAYS = 14
FIRST_DAY = datetime(2024, 3, 1, tzinfo=UTC)
CHANGED = datetime(2024, 5, 1, tzinfo=UTC)
STAGES = ("page_view", "page_view", "page_view", "add_to_cart", "purchase")
STATUSES = ("pending", "paid", "paid", "shipped", "cancelled")

# Pairs of users whose changes travel together, from the lower and the upper half of the first ones.
_PARTITION = {
    user_id: partition_of(str(user_id).encode(), RECORD_PARTITIONS) for user_id in range(1, FIRST_USERS + 1)
}
TWINS = [
    (lower, upper)
    for lower, upper in combinations(_PARTITION, 2)
    if lower <= LOWER_USERS < upper and _PARTITION[lower] == _PARTITION[upper]
]

type Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One POST, the same at every attempt. `key` is its Idempotency-Key."""

    entity: Entity
    key: str | None
    items: list[Item]

    @property
    def path(self) -> str:
        return ROUTE_OF[self.entity]

    @property
    def refused(self) -> set[int]:
        """The positions that the door must refuse."""
        return {position for position, item in enumerate(self.items) if item.fate is Fate.REFUSED}


class Shop:
    """Draws requests until `events` events were in them; then it sends whatever parents are still missing."""

    def __init__(self, seed: str, events: int) -> None:
        self._random = Random(seed)
        self._events = events
        self._drawn = 0
        self._changes = 0
        self._users = 0
        self._wanted_users = FIRST_USERS
        self._orders = 0
        self._rivals = FIRST_RIVAL
        self._stale: dict[Entity, list[Body]] = {entity: [] for entity in ROUTE_OF}

    def requests(self) -> Iterator[Request]:
        yield self._keyed(Entity.PRODUCT, [(self._product(n + 1), Fate.TABLE) for n in range(PRODUCTS)])
        draws = (self._events_request, self._orders_request, self._users_request, self._products_request)
        while self._drawn < self._events:
            [draw] = self._random.choices(draws, weights=(14, 3, 2, 1))
            yield draw()
        while self._users < self._wanted_users:
            yield self._users_request()

    def conflict(self, item: Item) -> Request:
        """Another content under the id of an event that was acknowledged."""
        other = "purchase" if item.content["event_type"] != "purchase" else "page_view"
        content = {**item.content, "event_id": str(item.message_id), "event_type": other}
        return Request(Entity.EVENT, None, [Item(item.message_id, Entity.EVENT, content, Fate.CONFLICT)])

    def probe(self, number: int) -> Request:
        """One event whose parents are there from the beginning on."""
        body: Body = {"user_id": 1, "product_id": 1, "event_type": "page_view", "event_id": f"probe-{number}"}
        body["event_timestamp"] = FIRST_DAY.isoformat()
        return Request(Entity.EVENT, None, [_event_item(body, Fate.TABLE)])

    def _events_request(self) -> Request:
        size = self._random.randint(5, MOST_EVENTS)
        self._drawn += size
        drawn = [self._event_and_fate() for _ in range(size)]
        drawn[0] = (self._event(), Fate.TABLE)  # at least one is good
        if self._random.random() < 0.2:  # a client without ids of its own
            return self._keyed(Entity.EVENT, drawn)
        for body, _ in drawn:
            text = self._random.random() < 0.2
            body["event_id"] = f"event-{self._random.getrandbits(64)}" if text else str(self._uuid())
        return Request(Entity.EVENT, None, [_event_item(body, fate) for body, fate in drawn])

    def _event_and_fate(self) -> tuple[Body, Fate]:
        body, die = self._event(), self._random.random()
        if die < 0.01:
            return {**body, "event_type": "teleport"}, Fate.REFUSED
        if die < 0.02:
            return {**body, "user_id": "seven"}, Fate.REFUSED
        if die < 0.03:
            return {**body, "user_id": FIRST_ORPHAN + self._random.randint(0, 99)}, Fate.PARKED
        return body, Fate.TABLE

    def _event(self) -> Body:
        body: Body = {
            "user_id": self._some_user(),
            "event_type": self._random.choice(STAGES),
            "event_timestamp": self._moment(),
        }
        if self._random.random() < 0.9:
            body["product_id"] = self._random.randint(1, PRODUCTS)
        return body

    def _users_request(self) -> Request:
        drawn: list[tuple[Body, Fate]] = []
        self._take_stale(Entity.USER, drawn)
        for _ in range(self._random.randint(2, AHEAD_USERS) + 2):
            if self._users < self._wanted_users:
                self._users += 1
                drawn.append((self._user(self._users), Fate.TABLE))
        drawn += [(self._user(twin), Fate.TABLE) for twin in self._twins()]
        if self._users:
            older, newer = self._user(known := self._random.randint(1, self._users)), self._user(known)
            self._stale[Entity.USER].append(older)
            drawn.append((newer, Fate.TABLE))
        if self._random.random() < 0.3:
            drawn += [(body, Fate.RIVAL) for body in self._rival_pair()]
        drawn.append(({**self._user(1), "email": "nowhere"}, Fate.REFUSED))
        return self._keyed(Entity.USER, drawn)

    def _twins(self) -> Sequence[int]:
        """One of the lower and one of the upper half of the first users, whose changes go to one partition: in one batch."""
        return self._random.choice(TWINS) if self._users >= FIRST_USERS else ()

    def _products_request(self) -> Request:
        drawn: list[tuple[Body, Fate]] = []
        self._take_stale(Entity.PRODUCT, drawn)
        product_id = self._random.randint(1, PRODUCTS)
        self._stale[Entity.PRODUCT].append(self._product(product_id))
        drawn.append((self._product(product_id), Fate.TABLE))
        return self._keyed(Entity.PRODUCT, drawn)

    def _orders_request(self) -> Request:
        drawn: list[tuple[Body, Fate]] = []
        self._take_stale(Entity.ORDER, drawn)
        for _ in range(self._random.randint(2, 12)):
            self._orders += 1
            drawn.append((self._order(self._orders), Fate.TABLE))
        older, newer = self._order(self._orders), self._order(self._orders)
        self._stale[Entity.ORDER].append(older)
        drawn.append((newer, Fate.TABLE))
        drawn.append(({**self._order(self._orders), "total_amount": "-1.00"}, Fate.REFUSED))
        if self._random.random() < 0.3:
            self._orders += 1
            drawn.append(({**self._order(self._orders), "user_id": FIRST_ORPHAN}, Fate.PARKED))
        return self._keyed(Entity.ORDER, drawn)

    def _take_stale(self, entity: Entity, drawn: list[tuple[Body, Fate]]) -> None:
        """Versions that were overtaken before they were sent: newer ones went out in an earlier request."""
        drawn += [(body, Fate.TABLE) for body in self._stale[entity]]
        self._stale[entity].clear()

    def _user(self, user_id: int) -> Body:
        return {
            "user_id": user_id,
            "name": f"Name {self._random.randint(1, 10**6)}",
            "email": f"user{user_id}@example.org",
            "signup_date": (FIRST_DAY + timedelta(days=user_id % 7, hours=user_id % 24)).isoformat(),
            "updated_at": self._tick(),
        }

    def _rival_pair(self) -> list[Body]:
        first = self._rivals
        self._rivals += 2
        return [{**self._user(each), "email": f"rival{first}@example.org"} for each in (first, first + 1)]

    def _product(self, product_id: int) -> Body:
        return {
            "product_id": product_id,
            "product_name": f"Product {self._random.randint(1, 10**6)}",
            "category": self._random.choice(("Home", "Garden")),
            "price": self._amount(),
            "updated_at": self._tick(),
        }

    def _order(self, order_id: int) -> Body:
        order: Body = {
            "order_id": order_id,
            "user_id": self._some_user(),
            "order_date": self._moment(),
            "status": self._random.choice(STATUSES),
            "total_amount": self._amount(),
            "updated_at": self._tick(),
        }
        if self._random.random() < 0.8:
            order["items"] = [self._sold(n + 1) for n in range(self._random.randint(0, 3))]
        return order

    def _sold(self, number: int) -> Body:
        return {
            "order_item_id": number,
            "product_id": self._random.randint(1, PRODUCTS),
            "quantity": self._random.randint(1, 5),
            "unit_price": self._amount(),
        }

    def _some_user(self) -> int:
        """Now and then one that is sent only later."""
        user_id = self._random.randint(1, min(self._users + AHEAD_USERS, MOST_USERS))
        self._wanted_users = max(self._wanted_users, user_id)
        return user_id

    def _moment(self) -> str:
        return (FIRST_DAY + timedelta(seconds=self._random.randrange(DAYS * 86_400))).isoformat()

    def _tick(self) -> str:
        """A moment of change; no two are equal, so that versions never tie."""
        self._changes += 1
        return (CHANGED + timedelta(milliseconds=self._changes)).isoformat(timespec="microseconds")

    def _amount(self) -> str:
        return f"{self._random.randint(0, 500)}.{self._random.randint(0, 99):02}"

    def _uuid(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)

    def _keyed(self, entity: Entity, drawn: list[tuple[Body, Fate]]) -> Request:
        """A request whose ids come from its Idempotency-Key."""
        key = str(self._uuid())
        ids = [request_message_id(ROUTE_OF[entity], SOURCE, key, place) for place in range(len(drawn))]
        return Request(
            entity,
            key,
            [Item(made, entity, body, fate) for made, (body, fate) in zip(ids, drawn, strict=True)],
        )


def _event_item(body: Body, fate: Fate) -> Item:
    return Item(resolve_event_id(SOURCE, body["event_id"]), Entity.EVENT, body, fate)
