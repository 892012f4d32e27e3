"""A file that is never finished is told of, once, and keeps no other waiting."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from file_watcher.stuck import Obstacle

from .conftest import ALARM_AFTER_S, STABLE_S, Bench, alarms

pytestmark = pytest.mark.unit


class Writer:
    """A partner who does not stop."""

    def __init__(self, bench: Bench, path: Path) -> None:
        self._bench = bench
        self._path = path

    async def go_on(self, seconds: float) -> None:
        for _ in range(int(seconds / STABLE_S)):
            with self._path.open("ab") as file:
                file.write(b"more")
            assert await self._bench.app.watch.scan_once() == 0
            self._bench.clock.move(STABLE_S)


async def test_a_file_that_never_comes_to_rest_raises_one_alarm(bench: Bench) -> None:
    writer = Writer(bench, bench.drop("acme/log.csv"))
    with capture_logs() as logs:
        await writer.go_on(ALARM_AFTER_S)
    assert (alarms(logs), bench.stuck(Obstacle.CHANGING)) == ([], 0)
    with capture_logs() as logs:
        await writer.go_on(2 * ALARM_AFTER_S)
    assert (alarms(logs), bench.stuck(Obstacle.CHANGING)) == (["'acme/log.csv'"], 1)


async def test_it_is_taken_all_the_same_once_it_rests_and_then_no_longer_counted(bench: Bench) -> None:
    await Writer(bench, bench.drop("log.csv")).go_on(ALARM_AFTER_S + STABLE_S)
    assert await bench.scan_until_stable() == 1
    assert await bench.app.watch.scan_once() == 0
    assert bench.stuck(Obstacle.CHANGING) == 0


async def test_another_file_of_that_name_has_its_own_time(bench: Bench) -> None:
    path = bench.drop("log.csv")
    await Writer(bench, path).go_on(ALARM_AFTER_S / 2)
    assert await bench.scan_until_stable() == 1
    await bench.app.watch.scan_once()
    with capture_logs() as logs:
        await Writer(bench, bench.drop("log.csv")).go_on(ALARM_AFTER_S * 3 / 4)
    assert alarms(logs) == []


async def test_a_file_that_is_replaced_again_and_again_raises_one_alarm(bench: Bench) -> None:
    path, other = bench.drop("log.csv"), bench.folders.root / "other"
    with capture_logs() as logs:
        for _ in range(int(2 * ALARM_AFTER_S)):
            other.write_bytes(b"new")
            other.rename(path)
            assert await bench.app.watch.scan_once() == 0
            bench.clock.move(STABLE_S)
    assert alarms(logs) == ["'log.csv'"]


async def test_an_alarm_holds_up_no_other_file(bench: Bench) -> None:
    writer = Writer(bench, bench.drop("log.csv"))
    await writer.go_on(ALARM_AFTER_S + STABLE_S)
    bench.drop("orders.csv")
    assert await bench.scan_until_stable() in {1, 2}
    assert "orders.csv" in bench.claimed()


@pytest.mark.parametrize("name", ["acme/orders.csv.part", "orders.csv.TMP"])
async def test_a_transfer_that_was_broken_off_raises_one_alarm_until_it_goes_on_or_is_gone(
    bench: Bench, name: str
) -> None:
    path = bench.drop(name)
    writer = Writer(bench, path)
    with capture_logs() as logs:
        await writer.go_on(2 * ALARM_AFTER_S)
        assert (alarms(logs), bench.stuck(Obstacle.UNFINISHED)) == ([], 0)
        for _ in range(int(2 * ALARM_AFTER_S)):
            bench.clock.move(STABLE_S)
            await bench.app.watch.scan_once()
        assert (alarms(logs), bench.stuck(Obstacle.UNFINISHED)) == ([f"'{name}'"], 1)
        await writer.go_on(STABLE_S)
        assert bench.stuck(Obstacle.UNFINISHED) == 0
    path.rename(path.with_name("orders.csv"))
    assert await bench.scan_until_stable() == 1


async def test_a_name_that_begins_with_a_dot_is_nobodys_concern(bench: Bench) -> None:
    bench.drop(".nfs0001")
    bench.drop(".orders.csv.part")
    with capture_logs() as logs:
        for _ in range(int(2 * ALARM_AFTER_S)):
            bench.clock.move(STABLE_S)
            await bench.app.watch.scan_once()
    assert alarms(logs) == []
