"""A byte that changed on the broker's disk: its partition waits until it is right again, and the others do not."""

import pytest
from aiokafka import AIOKafkaProducer

from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.contracts.entities import USERS_TOPIC
from tillstream.errors import BrokerUnavailable
from tillstream.kafka.detour import read_around
from tillstream.kafka.records import Place

from .conftest import DEADLINE_S, Works
from .hostile_records import neighbour
from .raw_batches import send_raw
from .real_broker import real_works

pytestmark = pytest.mark.fault

SPOILT, OTHER = Place(USERS_TOPIC, 0), Place(USERS_TOPIC, 1)
FIRST_SEGMENT = "00000000000000000000.log"
OTHERS = 5
USERS = "SELECT count(*) FROM shop.users"
NEXT = f"SELECT next_offset FROM shop.consumer_offsets WHERE topic = '{USERS_TOPIC}' AND kafka_partition = 0"
WITHIN_S = 30.0


def flip(server: KafkaServer, marker: bytes) -> None:
    """Change a bit of what the broker has on its disk, or change it back; it reads the file anew each time."""
    [file] = server.broker.log_dir.glob(f"{SPOILT.topic}-{SPOILT.partition}/{FIRST_SEGMENT}")
    with file.open("r+b") as log:
        at = log.read().index(marker) - 1
        log.seek(at)
        [byte] = log.read(1)
        log.seek(at)
        log.write(bytes([byte ^ 1]))


async def stored(works: Works, users: int) -> None:
    await works.has(USERS, (users,), within_s=WITHIN_S)


async def test_its_partition_waits_and_the_others_go_on(
    database: Database, kafka_server: KafkaServer, producer: AIOKafkaProducer
) -> None:
    async with real_works(database, kafka_server) as works:
        records = [neighbour() for _ in range(3)]
        for record in records:
            await send_raw(producer, SPOILT, [record])
        flip(kafka_server, records[1].value or b"")
        async with works.running():
            await stored(works, 1)
            for number in range(OTHERS):
                await send_raw(producer, OTHER, [neighbour()])
                await stored(works, 2 + number)
            assert await works.rows(NEXT) == [(1,)], "what cannot be read is not passed over"
            flip(kafka_server, records[1].value or b"")
            await stored(works, 3 + OTHERS)
        assert await works.rows("SELECT count(*) FROM shop.quarantine") == [(0,)]


async def test_it_hides_no_other_place(
    database: Database, kafka_server: KafkaServer, producer: AIOKafkaProducer
) -> None:
    async with real_works(database, kafka_server):
        record = neighbour()
        for place in (SPOILT, OTHER):
            await send_raw(producer, place, [record])
        flip(kafka_server, record.value or b"")
        found = await read_around(kafka_server.bootstrap, "test", {SPOILT: 0, OTHER: 0}, DEADLINE_S)
        assert {place: len(stretch.records) for place, stretch in found.items()} == {OTHER: 1}
        with pytest.raises(BrokerUnavailable, match=r"shop\.users\.v1\[0\] from offset 0 on"):
            await read_around(kafka_server.bootstrap, "test", {SPOILT: 0, OTHER: 1}, DEADLINE_S)
