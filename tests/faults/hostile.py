"""What no door would let through, put straight into Kafka.

Each broken record must become one quarantine entry, with its bytes and its reason; the good ones beside it in the same
batch must be stored, however odd their frames are.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from struct import pack_into
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.record.util import calc_crc32c

from faults.goods import FIRST_DAY
from faults.holding import pause
from faults.ledger import Fate, Item, Ledger
from faults.translation import placeless_id
from tillstream.contracts.entities import TOPIC_OF, Entity
from tillstream.contracts.envelope import DEFAULT_SOURCE
from tillstream.contracts.ids import resolve_event_id
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import payload_hash
from tillstream.contracts.topics import MAX_MESSAGE_BYTES, RECORD_PARTITIONS

SOURCE = "hostile"
REQUEST_MS = 5_000
RETRY_S = 0.5
TRIES = 120
GIANT_BYTES = 900_000
DEEP = 20_000
NOT_UTF8 = b"\xff\xfe"
# In the name of a header, until the batch is built: aiokafka writes no name that is not UTF-8.
STAND_IN = b"~~"
UNREADABLE_NAME = f"hostile-{STAND_IN.decode()}"
# Of a record batch: where its checksum stands, and the first byte that it covers.
CRC_AT, SUMMED_FROM = 17, 21

type Headers = tuple[tuple[str, bytes], ...]
type Body = dict[str, str]  # field: JSON


@dataclass(frozen=True, slots=True)
class Hostile:
    """A record as it goes into the log, and what the ledger says of it."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    item: Item


def drawn(random: Random) -> list[list[Hostile]]:
    """One of each kind, in lists that go into one batch each."""
    by_entity = defaultdict[Entity, list[Hostile]](list)
    for each in (*_broken(random), *_frameless(random), *_odd_but_good(random)):
        by_entity[each.item.entity].append(each)
    batches = list(by_entity.values())
    for batch in batches:
        random.shuffle(batch)
    return [*batches, list(_behind_an_unreadable_header(random))]


def _broken(random: Random) -> Iterator[Hostile]:
    event, user, product, order = Entity.EVENT, Entity.USER, Entity.PRODUCT, Entity.ORDER
    giant = "A" * random.randrange(1_000, GIANT_BYTES)
    values: list[tuple[Entity, bytes | None, Reason]] = [
        (event, NOT_UTF8 + random.randbytes(200), Reason.MALFORMED_JSON),
        (event, b"", Reason.MALFORMED_JSON),
        (event, b"[" * DEEP, Reason.MALFORMED_JSON),
        (event, b"[1,2,3]", Reason.INVALID_RECORD),
        (event, _event(user_id="9" * 400), Reason.INVALID_ID),
        (event, _event(event_timestamp='"10000-01-01T00:00:00Z"'), Reason.INVALID_TIMESTAMP),
        (event, _event(usr_id="1"), Reason.UNKNOWN_FIELD),
        (order, None, Reason.INVALID_RECORD),
        (order, _product(), Reason.MISSING_FIELD),
        (product, _product(price="NaN"), Reason.MALFORMED_JSON),
        (product, _product(price="-Infinity"), Reason.MALFORMED_JSON),
        (product, _product(product_name=f'"{giant}"'), Reason.INVALID_TEXT),
        (user, _user(name=r'"\ud800"'), Reason.INVALID_TEXT),
        (user, _user(name=r'"a\u0000b"'), Reason.INVALID_TEXT),
        (user, _user().replace(b"Nobody", NOT_UTF8), Reason.MALFORMED_JSON),
    ]
    for entity, value, reason in values:
        message_id = _uuid(random)
        yield _refused(entity, message_id, value, _headers(entity, message_id), reason)
    unreadable = (*_headers(user, message_id := _uuid(random)), ("ce_source", NOT_UTF8))
    yield _refused(user, message_id, _user(), unreadable, Reason.INVALID_HEADER)


def _frameless(random: Random) -> Iterator[Hostile]:
    """Without a header: a broken one is known by its place in the log alone."""
    value = NOT_UTF8 + random.randbytes(64)
    message_id = placeless_id(TOPIC_OF[Entity.EVENT], value)
    yield _refused(Entity.EVENT, message_id, value, (), Reason.MALFORMED_JSON)
    yield _stored(_uuid(random), (), DEFAULT_SOURCE)
    yield _stored(f"text-{random.getrandbits(64)}", (), DEFAULT_SOURCE)


def _odd_but_good(random: Random) -> Iterator[Hostile]:
    for key in (None, b"", NOT_UTF8, b"7" * 1_000):
        yield _stored(_uuid(random), _headers(Entity.EVENT, _uuid(random)), key=key)
    for name, value in (
        ("ce_id", NOT_UTF8),
        ("ce_time", b"10000-01-01T00:00:00Z"),
        ("ce_sequence", b"-7"),
        ("ce_type", b"nonsense"),
    ):
        yield _stored(_uuid(random), (*_headers(Entity.EVENT, _uuid(random)), (name, value)))


def _behind_an_unreadable_header(random: Random) -> Iterator[Hostile]:
    """aiokafka's reader gives such a batch up as a whole."""
    yield _stored(_uuid(random), ())
    yield _stored(_uuid(random), ((UNREADABLE_NAME, b"1"),))
    yield _stored(_uuid(random), ())


def _refused(
    entity: Entity, message_id: UUID, value: bytes | None, headers: Headers, reason: Reason
) -> Hostile:
    kept = {"reason": reason, "payload": payload_hash(value or b"").hex()}
    return Hostile(b"1", value, headers, Item(message_id, entity, kept, Fate.QUARANTINE))


def _stored(
    event_id: UUID | str, headers: Headers, source: str = SOURCE, key: bytes | None = b"1"
) -> Hostile:
    """An event whose parents are there from the beginning on."""
    body = {"event_id": str(event_id), "user_id": 1, "event_type": "page_view"}
    content = {**body, "event_timestamp": FIRST_DAY.isoformat()}
    value = _event(event_id=f'"{event_id}"')
    item = Item(resolve_event_id(source, str(event_id)), Entity.EVENT, content, Fate.TABLE)
    return Hostile(key, value, headers, item)


def _headers(entity: Entity, message_id: UUID) -> Headers:
    return (
        ("ce_id", str(message_id).encode()),
        ("ce_type", f"shop.{entity}.v1".encode()),
        ("ce_source", SOURCE.encode()),
    )


def _event(**fields: str) -> bytes:
    moment = f'"{FIRST_DAY.isoformat()}"'
    return _json({"user_id": "1", "event_type": '"page_view"', "event_timestamp": moment, **fields})


def _product(**fields: str) -> bytes:
    return _json({"product_id": "1", "product_name": '"a"', "category": '"b"', "price": "1", **fields})


def _user(**fields: str) -> bytes:
    contact = {"name": '"Nobody"', "email": '"nobody@example.org"', "signup_date": '"2024-03-01"'}
    return _json({"user_id": "1", **contact, **fields})


def _json(body: Body) -> bytes:
    """By hand: no encoder would write some of this."""
    return f"{{{','.join(f'"{name}":{value}' for name, value in body.items())}}}".encode()


def _uuid(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)


class Vandal:
    """Writes to the log past every door and every wire, and keeps the ledger. `problems` are what it could not get in."""

    def __init__(self, bootstrap: str, ledger: Ledger, seed: str) -> None:
        self.problems: list[str] = []
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=False,
            max_batch_size=MAX_MESSAGE_BYTES,
            max_request_size=2 * MAX_MESSAGE_BYTES,
            request_timeout_ms=REQUEST_MS,
        )
        self._ledger = ledger
        self._random = Random(f"{seed}/vandal")

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def strike(self) -> None:
        """One of each kind, each batch into a partition that is drawn; until the broker has them."""
        partitions = [self._random.randrange(RECORD_PARTITIONS) for _ in range(len(Entity))]
        await asyncio.gather(*map(self._put, drawn(self._random), partitions))

    async def _put(self, records: Sequence[Hostile], partition: int) -> None:
        number = await self._ledger.sent([each.item for each in records])
        topic = TOPIC_OF[records[0].item.entity]
        for _ in range(TRIES):
            try:
                sent = await self._producer.send_batch(self._batch(records), topic, partition=partition)
                await sent
            except (
                KafkaError
            ):  # whatever befalls the broker; what came through twice is still one record each
                await pause(RETRY_S)  # a client's, between two attempts
            else:
                await self._ledger.acknowledged(number, range(len(records)))
                return
        self.problems.append(f"{topic}[{partition}] took no hostile records")

    def _batch(self, records: Sequence[Hostile]) -> Any:
        batch = self._producer.create_batch()
        for each in records:
            added = batch.append(timestamp=None, key=each.key, value=each.value, headers=list(each.headers))
            assert added is not None, "they fit into one batch"
        batch.close()
        built = bytearray(batch._build())  # there is no other way to such bytes
        if (name := UNREADABLE_NAME.encode()) in built:
            built[:] = built.replace(name, name.replace(STAND_IN, NOT_UTF8))
            pack_into(">I", built, CRC_AT, calc_crc32c(bytes(built[SUMMED_FROM:])))
            batch._buffer = bytes(built)
        return batch
