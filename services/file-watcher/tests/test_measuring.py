"""What the watcher says about waiting files and the room that is left for them."""

import os
import shutil
from datetime import UTC, datetime

import pytest

from tillstream.clock import SystemClock

from .conftest import STABLE_S, Bench

pytestmark = pytest.mark.unit

FOREVER_S = 1_000_000.0
HOUR_S = 3_600.0
NIGHT_S = 1_790_000_000.0


def value(bench: Bench, name: str) -> float:
    found = bench.app.metrics.registry.get_sample_value(f"tillstream_{name}")
    assert found is not None
    return found


def waits_s(bench: Bench) -> float:
    return value(bench, "oldest_waiting_file_age_seconds")


class LaterClock(SystemClock):
    """The machine's clock, ahead by an hour."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(super().now().timestamp() + HOUR_S, tz=UTC)


async def test_the_oldest_waiting_file_is_as_old_as_its_first_sight(bench: Bench) -> None:
    bench.start(file_stable_s=FOREVER_S)
    await bench.app.watch.scan_once()
    assert waits_s(bench) == 0
    first = bench.drop("first.csv")
    await bench.app.watch.scan_once()
    bench.clock.move(40.0)
    bench.drop("second.csv")
    first.write_bytes(b"a,b\n1,2\n3,4\n")  # it changes, and is there all the same
    await bench.app.watch.scan_once()
    assert waits_s(bench) == 40.0
    first.unlink()
    bench.clock.move(2.0)
    await bench.app.watch.scan_once()
    assert waits_s(bench) == 2.0


async def test_another_file_under_the_name_of_one_that_waited_is_new(bench: Bench) -> None:
    bench.start(file_stable_s=FOREVER_S)
    path = bench.drop("same.csv")
    await bench.app.watch.scan_once()
    bench.clock.move(40.0)
    path.replace(path.with_name("kept.tmp"))  # so that its inode is not given to the next
    bench.drop("same.csv")
    await bench.app.watch.scan_once()
    assert waits_s(bench) == 0


async def test_a_file_that_waited_before_the_start_is_not_new(bench: Bench) -> None:
    old = bench.drop("old.csv")
    os.utime(old, (0, 0))  # a copy that keeps times says nothing about when it came
    bench.start(LaterClock(), file_stable_s=FOREVER_S)
    await bench.app.watch.scan_once()
    assert waits_s(bench) == pytest.approx(HOUR_S, abs=60)


async def test_nothing_waits_once_all_is_claimed(bench: Bench) -> None:
    bench.drop("a.csv")
    assert await bench.scan_until_stable() == 1
    bench.clock.move(STABLE_S)
    await bench.app.watch.scan_once()
    assert waits_s(bench) == 0


async def test_the_room_of_the_data_folder_is_told(bench: Bench) -> None:
    await bench.app.watch.scan_once()
    disk = shutil.disk_usage(bench.folders.root)
    assert value(bench, "data_size_bytes") == disk.total
    assert value(bench, "data_free_bytes") == pytest.approx(disk.free, rel=0.2)


async def test_the_last_export_of_a_green_night_is_told(bench: Bench) -> None:
    await bench.app.watch.scan_once()
    assert value(bench, "nightly_export_timestamp_seconds") == 0
    export = bench.folders.output / "daily_revenue.csv"
    export.write_text("order_day,daily_revenue,total_orders\n")
    os.utime(export, (NIGHT_S, NIGHT_S))
    await bench.app.watch.scan_once()
    assert value(bench, "nightly_export_timestamp_seconds") == NIGHT_S
