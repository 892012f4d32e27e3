"""A partner whose CSV files come by both roads, some of them packed: users, orders, their items and events, with everything in them
that partners do wrong."""

import gzip
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx2

from faults.goods import DAYS, FIRST_DAY, FIRST_ORPHAN, FIRST_USERS, PRODUCTS, STAGES, STATUSES
from faults.ledger import Fate, Filed, Item, Ledger
from faults.roads import Door, Inbox, Road
from faults.translation import filed_id
from tillstream.contracts.csv_rows import from_csv
from tillstream.contracts.entities import Entity
from tillstream.contracts.ids import resolve_event_id, row_event_id
from tillstream.contracts.messages import Refusal
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import check, content_hash, payload_hash
from tillstream.contracts.rules import Rules

SOURCE = "partner"  # the folder in the input folder, whose name is its source
FIRST_FILED = 3_000_000  # of users and orders
USERS, ORDERS, ITEMS, EVENTS = 12, 25, 50, 100  # in one drop
CHANGED = datetime(2024, 6, 1, tzinfo=UTC)
PACKED = 0.4  # of all files
SENT = 0.5
HEADERS = {
    Entity.USER: "user_id,name,email,signup_date,updated_at",
    Entity.ORDER: "order_id,user_id,order_date,status,total_amount,updated_at",
    Entity.ORDER_ITEM: "order_item_id,order_id,product_id,quantity,unit_price,updated_at",
    Entity.EVENT: "event_id,user_id,event_type,product_id,event_timestamp",
}
FIRST_LINE = 2  # behind the header


@dataclass(slots=True)
class Paper:
    """A file in the making: its rows, and what the ledger says of them."""

    entity: Entity
    name: str
    road: Road = Road.DROPPED
    is_packed: bool = False
    rows: list[bytes] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    rejected_lines: list[int] = field(default_factory=list)
    parked: int = 0
    duplicate: int = 0

    @property
    def data(self) -> bytes:
        text = b"\n".join([HEADERS[self.entity].encode(), *self.rows, b""])
        return gzip.compress(text, mtime=0) if self.is_packed else text

    @property
    def filed(self) -> Filed:
        digest = hashlib.sha256(self.data).hexdigest()
        return Filed(
            self.name, self.road, digest, len(self.rows), self.rejected_lines, self.parked, self.duplicate
        )

    @property
    def next_line(self) -> int:
        return FIRST_LINE + len(self.rows)

    def good(self, *cells: object, fate: Fate = Fate.TABLE) -> None:
        """A row that keeps its contract. Numbers in its content are numbers, as a JSON client has them."""
        raw = ",".join(map(str, cells))
        content = _content(self.entity, raw)
        self.items.append(Item(self._id(content), self.entity, content, fate))
        self.parked += fate is Fate.PARKED
        self.rows.append(raw.encode())

    def bad(self, raw: bytes, reason: Reason, message_id: UUID | None = None) -> None:
        """A row that breaks it."""
        kept = {"reason": reason, "payload": payload_hash(raw).hex()}
        own_id = message_id or filed_id(self.name, self.next_line)
        self.items.append(Item(own_id, self.entity, kept, Fate.QUARANTINE))
        self.rejected_lines.append(self.next_line)
        self.rows.append(raw)

    def again(self, row: int) -> None:
        """A row that came before in this file."""
        self.rows.append(self.rows[row])
        self.duplicate += 1

    def _id(self, content: dict[str, Any]) -> UUID:
        if self.entity is not Entity.EVENT:
            return filed_id(self.name, self.next_line)
        if "event_id" in content:
            return resolve_event_id(SOURCE, content["event_id"])
        checked = check(Entity.EVENT, content, Rules(datetime.now(UTC), ZoneInfo("UTC")))
        assert not isinstance(checked, Refusal), checked
        return row_event_id(SOURCE, content_hash(Entity.EVENT, checked))


def _content(entity: Entity, raw: str) -> dict[str, Any]:
    return from_csv(entity, dict(zip(HEADERS[entity].split(","), raw.split(","), strict=True)))


class Desk:
    """Draws what comes in one drop: four files that need each other."""

    def __init__(self, seed: str) -> None:
        self._random = Random(f"{seed}/partner")
        self._drops = 0
        self._changes = 0

    def drop(self) -> list[Paper]:
        """In an order that is drawn, so that some rows wait for their parents."""
        self._drops += 1
        first = FIRST_FILED + self._drops * 1_000
        papers = [self._users(first), self._orders(first), self._items(first), self._events(first)]
        self._random.shuffle(papers)
        return papers

    def _paper(self, entity: Entity) -> Paper:
        road = Road.SENT if self._random.random() < SENT else Road.DROPPED
        is_packed = self._random.random() < PACKED
        return Paper(entity, f"{entity}s-{self._drops}.csv{'.gz' if is_packed else ''}", road, is_packed)

    def _users(self, first: int) -> Paper:
        paper = self._paper(Entity.USER)
        for user_id in range(first, first + USERS):
            signup = (FIRST_DAY + timedelta(days=user_id % 7)).isoformat()
            paper.good(user_id, f"Name {user_id}", f"filed{user_id}@example.org", signup, self._tick())
        paper.bad(paper.rows[0], Reason.DUPLICATE_KEY)
        paper.bad(f"{first},No Address,nowhere,2024-03-01,".encode(), Reason.INVALID_EMAIL)
        paper.bad(b"%d,\xff\xfe,a@example.org,2024-03-01," % first, Reason.INVALID_TEXT)
        return paper

    def _orders(self, first: int) -> Paper:
        paper = self._paper(Entity.ORDER)
        for order_id in range(first, first + ORDERS):
            orphan = order_id == first + ORDERS - 1
            user_id = FIRST_ORPHAN if orphan else self._user(first)
            fate = Fate.PARKED if orphan else Fate.TABLE
            status = self._random.choice(STATUSES)
            paper.good(order_id, user_id, self._moment(), status, self._amount(), self._tick(), fate=fate)
        raw = f"{first},1,{self._moment()},paid,-1.00,".encode()
        paper.bad(raw, Reason.NEGATIVE_AMOUNT)
        return paper

    def _items(self, first: int) -> Paper:
        """All of them of orders that are stored: the last one of a drop waits for its user for ever."""
        paper = self._paper(Entity.ORDER_ITEM)
        for item_id in range(first, first + ITEMS):
            order_id = first + self._random.randrange(ORDERS - 1)
            product_id, quantity = self._random.randint(1, PRODUCTS), self._random.randint(1, 5)
            paper.good(item_id, order_id, product_id, quantity, self._amount(), self._tick())
        paper.bad(b"%d,%d,1" % (first, first), Reason.RAGGED_ROW)
        return paper

    def _events(self, first: int) -> Paper:
        paper = self._paper(Entity.EVENT)
        for number in range(EVENTS):
            event_id = ("", f"{first}-{number}", UUID(int=self._random.getrandbits(128), version=4))
            cells = self._random.choice(event_id), self._user(first), self._random.choice(STAGES)
            paper.good(*cells, self._random.randint(1, PRODUCTS), self._moment())
            if number % 30 == 0:
                paper.again(self._random.randrange(number + 1) if number else 0)
        paper.good(f"orphan-{first}", FIRST_ORPHAN, STAGES[0], 1, self._moment(), fate=Fate.PARKED)
        odd = f"odd-{first}"
        raw = f"{odd},1,teleport,1,{self._moment()}".encode()
        paper.bad(raw, Reason.INVALID_EVENT_TYPE, resolve_event_id(SOURCE, odd))
        return paper

    def _user(self, first: int) -> int:
        """One of this drop, or one of the first who come through the other door."""
        return self._random.choice(
            (first + self._random.randrange(USERS), self._random.randint(1, FIRST_USERS))
        )

    def _moment(self) -> str:
        """To the microsecond, so that no two rows without an id are one event by chance."""
        return (FIRST_DAY + timedelta(microseconds=self._random.randrange(DAYS * 86_400 * 10**6))).isoformat()

    def _tick(self) -> str:
        self._changes += 1
        return (CHANGED + timedelta(milliseconds=self._changes)).isoformat(timespec="microseconds")

    def _amount(self) -> str:
        return f"{self._random.randint(0, 500)}.{self._random.randint(0, 99):02}"


class Partner:
    """Drops and sends what a desk draws, and keeps the ledger. `problems` are files that nobody took, and odd answers."""

    def __init__(self, inbox: Path, http: httpx2.AsyncClient, ledger: Ledger, seed: str) -> None:
        self._unplaced: list[str] = []
        self._door = Door(http, SOURCE, seed)
        self._roads: dict[Road, Inbox | Door] = {Road.DROPPED: Inbox(inbox / SOURCE), Road.SENT: self._door}
        self._ledger = ledger
        self._desk = Desk(seed)

    @property
    def problems(self) -> list[str]:
        return [*self._unplaced, *self._door.problems]

    async def drop(self) -> None:
        """A whole drop, file by file; a file is acknowledged once it lies in the folder, or the door has taken it."""
        for paper in self._desk.drop():
            number = await self._ledger.sent(paper.items)
            if await self._roads[paper.road].put(paper.name, paper.data):
                await self._ledger.acknowledged(number, range(len(paper.items)))
                await self._ledger.dropped(paper.filed)
            else:
                self._unplaced.append(f"{paper.name} could not be {paper.road}")
