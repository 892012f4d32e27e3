"""While records come in live, a file takes small steps and rests after each; else it does not."""

import asyncio
from typing import Any, cast, override

import pytest

from etl_worker.file_loader.jobs import Jobs, Stream
from etl_worker.file_loader.pace import SHORTEST_S, WINDOW_S, Pace
from etl_worker.file_loader.runs import LoadPolicy
from tillstream.clock import SystemClock

pytestmark = pytest.mark.unit

POLICY = LoadPolicy(live_rows=100, live_share=0.25, live_per_second=10, pause_limit_s=5)
NO_CONNECTION = cast("Any", None)
MOST = 20_000


class ByHand(SystemClock):
    """Time passes when the test says so."""

    at = 1_000.0

    @override
    def monotonic(self) -> float:
        return self.at


class Told(Jobs):
    """A stream that is where the test says."""

    position = 0

    @override
    async def stream(self, conn: Any) -> Stream:
        return Stream(lag=0, position=self.position)


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.jobs, self.rests = ByHand(), Told(), list[float]()
        self.pace = Pace(self.jobs, self.clock, POLICY)

        async def sleep(seconds: float) -> None:
            self.rests.append(seconds)

        monkeypatch.setattr(asyncio, "sleep", sleep)

    async def pass_by(self, seconds: float, records: int) -> None:
        self.clock.at += seconds
        self.jobs.position += records
        await self.pace.look(NO_CONNECTION)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_until_it_is_known_the_stream_is_taken_to_move(world: World) -> None:
    await world.pass_by(0, 0)
    await world.pass_by(SHORTEST_S / 2, 0)
    assert world.pace.rows(MOST) == POLICY.live_rows
    await world.pass_by(SHORTEST_S, 0)
    assert world.pace.rows(MOST) == MOST


async def test_a_stream_that_moves_makes_chunks_small_and_rests_long(world: World) -> None:
    await world.pass_by(0, 0)
    await world.pass_by(2, 400)
    assert (world.pace.rows(MOST), world.pace.rows(7)) == (POLICY.live_rows, 7)
    await world.pace.give_way(NO_CONNECTION, 0.1)
    assert world.rests == [pytest.approx(0.3)]  # a quarter of the time is work
    await world.pace.give_way(NO_CONNECTION, 1_000)
    assert world.rests[-1] == POLICY.pause_limit_s


async def test_a_stream_that_hardly_moves_costs_a_file_nothing(world: World) -> None:
    await world.pass_by(0, 0)
    await world.pass_by(10, 99)
    await world.pace.give_way(NO_CONNECTION, 0.1)
    assert (world.pace.rows(MOST), world.rests) == (MOST, [])


async def test_what_was_long_ago_is_forgotten(world: World) -> None:
    await world.pass_by(0, 0)
    await world.pass_by(2, 10_000)
    for _ in range(3):
        await world.pass_by(WINDOW_S, 0)
    assert world.pace.rows(MOST) == MOST
