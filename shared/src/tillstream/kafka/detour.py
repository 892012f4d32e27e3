"""The way around aiokafka's reader, for what it cannot read: the same log, asked for by ourselves and read leniently."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest

from tillstream.kafka.aio_records import moment
from tillstream.kafka.cluster import in_the_end, make_client
from tillstream.kafka.failures import translated
from tillstream.kafka.log_format import LoggedRecord, Stretch, read_stretch
from tillstream.kafka.records import Place, Record

# A broker sends at least one whole batch, however large it is. More than a few would make the detour the usual way.
PLACE_BYTES = 64 * 1024
RESPONSE_BYTES = 1024 * 1024
ANY_BYTES = 1
READ_UNCOMMITTED = 0
PLACE_RECORDS = 2_000  # 20 ms of reading; a batch may have millions, and is fetched anew for as many
# A megabyte holds a thousand batches that each take 20 ms to be found too large. A rebalance waits for whoever reads them.
READING_S = 1.0

# As libraries do: a line that comes again and again is passed on once in ten seconds.
_log = logging.getLogger(__name__)


async def read_around(
    bootstrap: str, client_id: str, positions: Mapping[Place, int], deadline_s: float
) -> dict[Place, Stretch]:
    """What comes at these offsets, in some of these places at least, as far as there is anything.

    Opens a connection of its own and closes it: this is rare. A place whose bytes are not those that its broker was sent is left
    out while others have something; else that raises BrokerUnavailable, as a broker that is away does. Raises Misconfigured.
    """
    client = make_client(bootstrap, client_id, deadline_s)
    with translated():
        async with in_the_end(client.close), asyncio.timeout(deadline_s):
            await client.bootstrap()
            await client.set_topics({place.topic for place in positions})
            answers = [
                await client.send(leader, _request(places, positions))
                for leader, places in _by_leader(client, positions).items()
            ]
        # In a thread and without the deadline: it is the processor that takes its time, and heartbeats must go on.
        return await asyncio.to_thread(_stretches, answers, positions, monotonic() + READING_S)


def _by_leader(client: AIOKafkaClient, positions: Mapping[Place, int]) -> dict[int, list[Place]]:
    places: defaultdict[int, list[Place]] = defaultdict(list)
    for place in positions:
        leader = client.cluster.leader_for_partition(TopicPartition(*place))
        if leader is None or leader < 0:
            raise kafka.LeaderNotAvailableError(str(place))
        places[leader].append(place)
    return places


def _request(places: list[Place], positions: Mapping[Place, int]) -> FetchRequest:
    """In random order: the broker fills its answer from the front, and everybody's turn must come."""
    random.shuffle(places)
    wanted = [(place.topic, [(place.partition, positions[place], PLACE_BYTES)]) for place in places]
    return FetchRequest(0, ANY_BYTES, RESPONSE_BYTES, READ_UNCOMMITTED, wanted)


def _stretches(answers: list[Any], positions: Mapping[Place, int], until_s: float) -> dict[Place, Stretch]:
    """Of one place at least, where there is anything that can be read; of the others as far as there is time."""

    def is_late() -> bool:
        return monotonic() >= until_s

    found: dict[Place, Stretch] = {}
    spoilt: list[str] = []
    for place, data in _data(answers):
        try:
            found[place] = read_stretch(data, positions[place], PLACE_RECORDS, is_late)
        except kafka.CorruptRecordException as error:
            spoilt.append(f"At {place} from offset {positions[place]} on: {error.args[0]}")
            _log.error("A log is not what was written to it, and its partition waits. %s", spoilt[-1])
        if found and is_late():
            break
    if spoilt and not found:
        raise kafka.CorruptRecordException(" ".join(spoilt))
    return found


def _data(answers: list[Any]) -> Iterator[tuple[Place, bytes]]:
    for answer in answers:
        for topic, partitions in answer.topics:
            for partition, code, *_, data in partitions:
                place = Place(topic, partition)
                if code != kafka.NoError.errno:
                    raise kafka.for_code(code)(str(place))
                if data:
                    yield place, data


def records_of(place: Place, stretch: Stretch) -> list[Record]:
    """What was read, as the consumer hands it on."""
    return [_record(place, each) for each in stretch.records]


def _record(place: Place, logged: LoggedRecord) -> Record:
    offset, key, value, headers, stamp_ms, problem, first = logged
    return Record(*place, offset, key, value, headers, moment(stamp_ms), problem, first)
