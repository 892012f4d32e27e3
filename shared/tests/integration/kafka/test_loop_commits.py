"""A batch counts or it does not, wherever the process or its connection ends."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from tillstream.errors import TransactionConflict
from tillstream.kafka.fence import Fence, Move
from tillstream.kafka.records import Place, Record
from tillstream.kafka.steps import BatchResult, Steps, commit
from tillstream.testing.proxy import Cut, Proxy
from tillstream.testing.waiting import eventually

from .stations import QUICK_LOOP, Crash, Station, write

pytestmark = pytest.mark.integration


class Counting:
    """A handler that counts what it is told was committed, as a metric would."""

    def __init__(self) -> None:
        self.counted = 0

    async def handle(self, conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        await write(conn, records)

        async def committed(_conn: AsyncConnection) -> None:
            self.counted += len(records)

        return BatchResult(committed)


def is_commit(sent: bytes) -> bool:
    return b"COMMIT" in sent


def through(proxy: Proxy, station: Station) -> str:
    return make_conninfo(station.database.worker_dsn, host="127.0.0.1", port=proxy.port)


class Cutting:
    """A commit whose first call meets a cut."""

    def __init__(self, proxy: Proxy, cut: Cut) -> None:
        self._proxy = proxy
        self._cut = cut

    async def commit(self, conn: AsyncConnection) -> None:
        if not self._proxy.cuts:
            self._proxy.cut_once(self._cut, is_commit)
        await commit(conn)


@pytest.mark.parametrize("cut", [Cut.ANSWER, Cut.QUESTION])
async def test_a_commit_of_unknown_outcome_is_decided(station: Station, proxy: Proxy, cut: Cut) -> None:
    """ANSWER: PostgreSQL committed and nobody heard. QUESTION: it never got the word, and its session is still there."""
    await station.publish(300)
    counting = Counting()
    steps = Steps(counting.handle, commit=Cutting(proxy, cut).commit)
    async with station.worker(steps, dsn=through(proxy, station)) as worker:
        assert await station.drained() == []
        await eventually(lambda: counting.counted == 300)
        assert (proxy.cuts, worker.watch.waits) == (1, ["postgres"])
        await eventually(lambda: worker.watch.back[-1:] == ["postgres"])
    assert await sum_of_next_offsets(station) == 300


@pytest.mark.parametrize("cut", [Cut.ANSWER, Cut.QUESTION])
async def test_a_take_over_of_unknown_outcome_is_done_again(station: Station, proxy: Proxy, cut: Cut) -> None:
    await station.publish(300)
    proxy.cut_once(cut, is_commit)
    async with station.worker(dsn=through(proxy, station)) as worker:
        assert await station.drained() == []
        assert (proxy.cuts, worker.watch.waits) == (1, ["postgres"])


async def test_a_swallowed_commit_leaves_no_session_behind(station: Station, proxy: Proxy) -> None:
    await station.publish(300)
    pids: list[int] = []

    async def noting(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        pids.append(conn.info.backend_pid)
        return await write(conn, records)

    steps = Steps(noting, commit=Cutting(proxy, Cut.QUESTION).commit)
    async with station.worker(steps, dsn=through(proxy, station)):
        assert await station.drained() == []
        alive = await station.ledger.execute(
            "SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s) AND application_name = 'toy'", pids
        )
    assert len(set(pids)) == 2
    assert alive == [(pids[-1],)]


async def test_a_commit_that_is_believed_without_a_look_would_be_counted_wrongly(
    station: Station, proxy: Proxy
) -> None:
    """The check above turns red for a loop that counts before it knows."""
    await station.publish(300)
    counting = Counting()
    cutting = Cutting(proxy, Cut.QUESTION)

    async def counted_at_once(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        await (await counting.handle(conn, records)).committed(conn)
        return BatchResult()

    async with station.worker(Steps(counted_at_once, commit=cutting.commit), dsn=through(proxy, station)):
        assert await station.drained() == []
    assert counting.counted > 300


class Points:
    """Ends the process at one step of the first batch that reaches it."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._fence = Fence()

    def _pass(self, point: str) -> None:
        if point == self._point:
            self._point = "passed"
            raise Crash(point)

    async def handle(self, conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        self._pass("before the write")
        result = await write(conn, records)
        self._pass("after the write")
        return result

    async def advance(self, conn: AsyncConnection, moves: Mapping[Place, Move]) -> set[Place]:
        moved = await self._fence.advance(conn, moves)
        self._pass("after the fence")
        return moved

    async def commit(self, conn: AsyncConnection) -> None:
        self._pass("before the commit")
        await commit(conn)
        self._pass("after the commit")

    @property
    def steps(self) -> Steps:
        return Steps(self.handle, advance=self.advance, commit=self.commit)


POINTS = ["before the write", "after the write", "after the fence", "before the commit", "after the commit"]


@pytest.mark.parametrize("point", POINTS)
async def test_a_process_that_ends_anywhere_in_a_batch_loses_and_doubles_nothing(
    station: Station, point: str
) -> None:
    await station.publish(200)
    points = Points(point)
    async with station.worker(points.steps) as worker:
        await asyncio.wait({worker.task})
        assert isinstance(worker.task.exception(), Crash)
    async with station.worker(points.steps):
        assert await station.drained() == []


async def test_offsets_that_move_before_the_write_would_lose_records(station: Station) -> None:
    """The check above turns red for a loop that commits its offsets first."""
    await station.publish(200)
    fence = Fence()
    crashed = False

    async def forgetful(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        nonlocal crashed
        if crashed:
            return await write(conn, records)
        crashed = True
        last = {record.place: record.offset + 1 for record in records}
        positions = await fence.positions(conn, last.keys())
        early = {
            place: Move(positions[place].epoch, positions[place].next_offset, end)
            for place, end in last.items()
        }
        await fence.advance(conn, early)
        await conn.execute("COMMIT")
        raise Crash("between the two")

    async with station.worker(Steps(forgetful)) as worker:
        await asyncio.wait({worker.task})
    await station.publish(200)
    async with station.worker(Steps(forgetful)):
        await station.ledger.holds(200)
    assert any("missing" in problem for problem in await station.ledger.problems(station.sent))


async def test_a_conflict_is_tried_again_at_once(station: Station) -> None:
    await station.publish(100)
    left = [psycopg.errors.DeadlockDetected("planted"), psycopg.errors.SerializationFailure("planted")]

    async def unlucky(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        result = await write(conn, records)
        if left:
            raise left.pop()
        return result

    async with station.worker(Steps(unlucky)) as worker:
        assert await station.drained() == []
        assert worker.watch.waits == []


async def test_a_conflict_that_stays_is_waited_for(station: Station) -> None:
    await station.publish(100)
    left = [TransactionConflict("planted")] * 7

    async def unlucky(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        result = await write(conn, records)
        if left:
            raise left.pop()
        return result

    async with station.worker(Steps(unlucky)) as worker:
        assert await station.drained() == []
        assert worker.watch.waits


async def test_a_bug_ends_the_loop(station: Station) -> None:
    await station.publish(10)

    async def broken(_conn: AsyncConnection, _records: Sequence[Record]) -> BatchResult:
        raise Crash("a bug")

    async with station.worker(Steps(broken)) as worker:
        await asyncio.wait({worker.task})
        assert isinstance(worker.task.exception(), Crash)
    assert await station.ledger.count() == 0


async def test_a_stop_finishes_the_batch(station: Station) -> None:
    await station.publish(50)
    writing = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        result = await write(conn, records)
        writing.set()
        await go_on.wait()
        return result

    async with station.worker(Steps(slow)) as worker:
        await writing.wait()
        worker.stop.set()
        go_on.set()
        await worker.task
    written = await station.ledger.count()
    assert written > 0
    assert await sum_of_next_offsets(station) == written


async def test_a_stop_rolls_a_batch_back_that_does_not_end(station: Station) -> None:
    await station.publish(50)
    writing = asyncio.Event()

    async def endless(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
        await write(conn, records)
        writing.set()
        await conn.execute("SELECT pg_sleep(60)")
        return BatchResult()

    async with station.worker(Steps(endless), policy=replace(QUICK_LOOP, drain_s=0.2)) as worker:
        await writing.wait()
        worker.stop.set()
        await asyncio.wait({worker.task})
        assert worker.task.exception() is None
    assert await station.ledger.count() == 0
    assert await sum_of_next_offsets(station) == 0


async def sum_of_next_offsets(station: Station) -> int:
    return sum((await station.ledger.next_offsets(station.topic)).values())
