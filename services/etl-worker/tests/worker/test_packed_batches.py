"""A megabyte that unpacks to more than memory holds, straight into a real broker, and what comes before and behind it."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.contracts.entities import USERS_TOPIC
from tillstream.contracts.topics import RECORD_PARTITIONS
from tillstream.kafka.codecs import MOST_BYTES
from tillstream.kafka.records import Place

from .conftest import Works
from .hostile_records import neighbour
from .memory import growing_less_than
from .raw_batches import CODECS, RawRecord, raw_batch, send_again, send_raw
from .real_broker import real_works

pytestmark = pytest.mark.fault

PLACE = Place(USERS_TOPIC, 0)
# Snappy packs twenty times at most: a broker's megabyte does not hold as much.
GZIP, LZ4, ZSTD = 1, 3, 4
BOMB = RawRecord(None, b"x" * (MOST_BYTES + 1))
LARGE = RawRecord(None, b"x" * (MOST_BYTES - 1_000))
BOMBS = 10  # in each partition: more than two seconds of unpacking
PAUSE_S, TICK_S = 0.9, 0.01  # a detour may read for a second
APPLIED_WITHIN_S = 30.0
GROWTH_KIB = 200 * 1024
# One at a time takes 260 MiB, with its copies and the batch that is read ahead; twenty took 500.
MANY_GROWTH_KIB = 380 * 1024
APPLIED = """
SELECT count(*), sum(log_end - next_offset), count(stopped_at), (SELECT sum(next_offset) FROM shop.consumer_offsets)
FROM shop.partition_progress
"""
REFUSED = """
SELECT kafka_offset, reason, octet_length(payload), message LIKE '%more than 33554432 bytes%'
FROM shop.quarantine ORDER BY kafka_offset
"""


async def apply(works: Works, records: int) -> None:
    async with works.running():
        await works.has(APPLIED, (4 * RECORD_PARTITIONS, 0, 0, records), within_s=APPLIED_WITHIN_S)


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
async def test_it_is_kept_as_it_was_packed_and_its_neighbours_are_stored(
    database: Database, kafka_server: KafkaServer, producer: AIOKafkaProducer, codec: int
) -> None:
    async with real_works(database, kafka_server) as works:
        await send_raw(producer, PLACE, [neighbour()])
        offsets = await send_raw(producer, PLACE, [neighbour(), BOMB, neighbour()], codec, 2 * MOST_BYTES)
        await send_raw(producer, PLACE, [neighbour()])
        with growing_less_than(GROWTH_KIB):
            await apply(works, 5)
        [(offset, reason, size, says_why)] = await works.rows(REFUSED)
        assert (offset, reason, says_why) == (offsets[-1], "unreadable_batch", True)
        assert 0 < size < len(CODECS[codec](BOMB.value or b"")) + 1_000
        assert await works.rows("SELECT count(*) FROM shop.users") == [(2,)]


async def test_headers_that_memory_does_not_hold_are_not_made(
    database: Database, kafka_server: KafkaServer, producer: AIOKafkaProducer
) -> None:
    """Ten million of them are three kilobytes when they are packed, and more than a gigabyte as objects."""
    crowd = RawRecord(None, b"{}", [("a", None)] * (MOST_BYTES // 4))
    async with real_works(database, kafka_server) as works:
        batch = raw_batch([crowd], ZSTD, 2 * MOST_BYTES)
        for partition in range(RECORD_PARTITIONS):
            await send_again(producer, Place(USERS_TOPIC, partition), batch, 1)
        await send_raw(producer, PLACE, [neighbour()])
        with growing_less_than(GROWTH_KIB):
            await apply(works, RECORD_PARTITIONS + 1)
        reasons = await works.rows("SELECT reason, count(*) FROM shop.quarantine GROUP BY reason")
        assert reasons == [("unreadable_batch", RECORD_PARTITIONS)]
        assert await works.rows("SELECT count(*) FROM shop.users") == [(1,)]


class Pauses:
    """For how long nothing else of this process's loop had its turn, heartbeats included: a timer that is late says so."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self.longest_s = 0.0
        self._timer = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self.longest_s = max(self.longest_s, self._loop.time() - self._due)
        self._due = self._loop.time() + TICK_S
        self._timer = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        self._timer.cancel()


async def test_hundreds_of_them_do_not_keep_the_worker_from_its_heartbeats(
    database: Database, kafka_server: KafkaServer, producer: AIOKafkaProducer
) -> None:
    """Of two records each: what is missing before the last offset of such a batch is not fetched again."""
    async with real_works(database, kafka_server) as works:
        for place in [Place(USERS_TOPIC, number) for number in range(RECORD_PARTITIONS)]:
            sent = [
                send_raw(producer, place, [neighbour(), BOMB], ZSTD, 2 * MOST_BYTES) for _ in range(BOMBS)
            ]
            await asyncio.gather(*sent)
        pauses = Pauses()
        await apply(works, 2 * BOMBS * RECORD_PARTITIONS)
        pauses.stop()
        assert pauses.longest_s < PAUSE_S
        assert len(await works.rows(REFUSED)) == BOMBS * RECORD_PARTITIONS


async def test_the_next_worker_goes_on_behind_it(
    database: Database, kafka_server: KafkaServer, producer: AIOKafkaProducer
) -> None:
    """It begins with the last record applied, to see whether the log is still the same."""
    async with real_works(database, kafka_server) as works:
        await send_raw(producer, PLACE, [neighbour(), BOMB], ZSTD, 2 * MOST_BYTES)
        await apply(works, 2)
        await send_raw(producer, PLACE, [neighbour()])
        await apply(works, 3)
        assert len(await works.rows(REFUSED)) == 1
        assert await works.rows("SELECT count(*) FROM shop.users") == [(1,)]


async def test_of_many_that_just_fit_a_few_are_unpacked_at_once(
    database: Database, kafka_server: KafkaServer, producer: AIOKafkaProducer
) -> None:
    """Each has a kilobyte, so that one fetch brings all of them; and after many small ones a poll asks for as many."""
    small, large = 60, 20
    async with real_works(database, kafka_server) as works:
        for _ in range(small):
            await send_raw(producer, PLACE, [neighbour()])
        for _ in range(large):
            await send_raw(producer, PLACE, [LARGE], ZSTD, 2 * MOST_BYTES)
        with growing_less_than(MANY_GROWTH_KIB):
            await apply(works, small + large)
        assert await works.rows("SELECT reason, count(*) FROM shop.quarantine GROUP BY reason") == [
            ("record_too_large", large)
        ]
