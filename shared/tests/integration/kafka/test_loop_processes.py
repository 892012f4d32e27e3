"""Workers as processes: stopped, killed, asked to end. What they leave behind troubles nobody."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tillstream.testing.waiting import eventually

from .stations import DEADLINE_S, PARTITIONS, Station

pytestmark = [pytest.mark.integration, pytest.mark.fault]

PROGRAM = Path(__file__).with_name("toy_process.py")
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE application_name = 'toy frozen' AND relation = 'public.ledger'::regclass
"""

type Start = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start(station: Station) -> AsyncIterator[Start]:
    """Starts a toy worker; whatever still runs is killed afterwards."""
    started: list[asyncio.subprocess.Process] = []

    async def start_one(manner: str, group: str = "") -> asyncio.subprocess.Process:
        where = (station.bootstrap, station.database.worker_dsn, station.topic, group or station.group)
        process = await asyncio.create_subprocess_exec(sys.executable, PROGRAM, *where, manner)
        started.append(process)
        return process

    yield start_one
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def count(station: Station, statement: str, *parameters: object) -> int:
    [(found,)] = await station.ledger.execute(statement, *parameters)
    return int(str(found))


async def test_a_process_frozen_in_copy_is_overtaken_and_holds_nothing(
    station: Station, start: Start
) -> None:
    """The successor is in another group, so that nobody waits for Kafka to notice; the fence does not know groups."""
    await station.publish(600)
    frozen = await start("frozen")
    await eventually(lambda: psutil.Process(frozen.pid).status() == psutil.STATUS_STOPPED, DEADLINE_S)
    assert await count(station, LOCKS) > 0
    async with station.worker(group=f"{station.group}-other"):
        assert await station.drained() == []
        assert await count(station, LOCKS) == await count(station, SESSIONS, "toy frozen") == 0
    frozen.send_signal(signal.SIGCONT)
    frozen.terminate()
    assert await asyncio.wait_for(frozen.wait(), DEADLINE_S) == 0
    assert await station.ledger.problems(station.sent) == []


async def test_a_worker_killed_in_a_backlog_loses_and_doubles_nothing(station: Station, start: Start) -> None:
    await station.publish(20_000)
    victim = await start("slow")
    await station.ledger.holds(1)
    victim.kill()
    await victim.wait()
    assert await station.ledger.count() < len(station.sent)
    await start("plain")
    assert await station.drained() == []
    assert sum((await station.ledger.next_offsets(station.topic)).values()) == 20_000


async def test_a_worker_that_joins_in_a_backlog_doubles_nothing(station: Station, start: Start) -> None:
    await station.publish(20_000)
    await start("slow")
    await station.ledger.holds(1)
    async with station.worker() as newcomer:
        await eventually(lambda: len(newcomer.watch.owned) == PARTITIONS // 2, DEADLINE_S)
        assert await station.drained() == []


async def test_a_worker_that_is_asked_to_end_leaves_at_once(station: Station, start: Start) -> None:
    await station.publish(5_000)
    leaver = await start("slow")
    await station.ledger.holds(1)
    leaver.terminate()
    assert await asyncio.wait_for(leaver.wait(), DEADLINE_S) == 0
    async with station.worker() as successor:
        assert await station.drained() == []
        assert successor.watch.waits == []
