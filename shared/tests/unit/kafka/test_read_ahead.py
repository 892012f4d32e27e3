"""When the next batch is read (while PostgreSQL is at work, while nobody is, or in the end), and that it is one item for each record."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from tillstream.contracts.parts import parts_of
from tillstream.kafka.ports import Each
from tillstream.kafka.read_ahead import AT_WORK_S, ReadAhead
from tillstream.kafka.records import Record
from tillstream.testing.builders import ACCEPTED_AT
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.unit

TURNS = 20  # of the event loop, in which whoever may go on has done so
PARTS = 3


class Log:
    """Hands out parts of one record each; counts them."""

    def __init__(self) -> None:
        self.handed_out = 0
        self.waiting_s = 0.0

    async def fetch(self, each: Each) -> Sequence[Record]:
        records: list[Record] = []
        for _ in range(PARTS):
            self.handed_out += 1
            part = [Record("t", 0, self.handed_out, None, b"", (), ACCEPTED_AT)]
            records += part
            await each(part)
        return records

    def ahead(self) -> ReadAhead:
        return ReadAhead(self.fetch, lambda some: some, lambda: self.waiting_s)


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def test_while_a_batch_is_applied_it_is_read_when_postgresql_is_at_work() -> None:
    log = Log()
    ahead = log.ahead()
    with ahead.applying():
        ahead.begin()
        await turns()
        assert log.handed_out == 0
        log.waiting_s = AT_WORK_S
        await eventually(lambda: log.handed_out == PARTS)
    fetched = await ahead.next()
    assert [record.offset for record in fetched.records] == [1, 2, 3]
    assert fetched.items == fetched.records


async def test_when_postgresql_has_answered_it_stops_after_the_part_that_it_reads() -> None:
    log = Log()
    ahead = ReadAhead(log.fetch, lambda some: some, lambda: 0.0 if log.handed_out else AT_WORK_S)
    with ahead.applying():
        ahead.begin()
        await turns()
        assert log.handed_out == 1


async def test_when_nothing_is_applied_it_is_read_at_once() -> None:
    log = Log()
    ahead = log.ahead()
    with ahead.applying():
        ahead.begin()
        await turns()
        assert log.handed_out == 0
    await turns()
    assert log.handed_out == PARTS


async def test_it_is_read_in_the_end_though_postgresql_is_never_at_work_for_long() -> None:
    log = Log()
    ahead = log.ahead()
    with ahead.applying():
        ahead.begin()
        await eventually(lambda: log.handed_out == PARTS)


RECORDS = [Record("t", 0, offset, None, b"%d" % offset, (), ACCEPTED_AT) for offset in range(5)]


def nothing_under_way() -> float:
    return 0.0


def in_one_list(records: Sequence[Record]) -> Sequence[int]:
    return [record.offset for record in records]


def in_columns(records: Sequence[Record]) -> Sequence[int]:
    return range(records[0].offset, records[-1].next_offset)


@pytest.mark.parametrize("read", [in_one_list, in_columns])
@pytest.mark.parametrize("kept", [0, 2, 3, 4, 5])
async def test_what_a_fetch_reads_but_leaves_behind_is_forgotten(
    read: Callable[[Sequence[Record]], Sequence[int]], kept: int
) -> None:
    """Else it would be applied with this batch, and again with the next."""

    async def fetch(each: Each) -> Sequence[Record]:
        await each(RECORDS[:3])
        await each(RECORDS[3:])
        return RECORDS[:kept]

    fetched = await ReadAhead(fetch, read, nothing_under_way).next()
    assert list(fetched.items) == [record.offset for record in fetched.records] == list(range(kept))


async def test_parts_stay_parts() -> None:
    async def fetch(each: Each) -> Sequence[Record]:
        await each(RECORDS[:3])
        await each(RECORDS[3:])
        return RECORDS

    fetched = await ReadAhead(fetch, in_columns, nothing_under_way).next()
    assert parts_of(fetched.items) == [range(3), range(3, 5)]
