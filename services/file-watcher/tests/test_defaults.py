"""What holds for the files of a folder: each gets what it does not say itself, and wrong defaults keep files waiting, not out."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from file_watcher.meta import SETTLE_S, WAIT_S
from file_watcher.stuck import Obstacle
from tillstream.contracts.encodings import Encoding
from tillstream.contracts.file_meta import DEFAULTS_NAME, MAX_META_BYTES, META_SUFFIX
from tillstream.contracts.files import FileJob

from .conftest import ALARM_AFTER_S, STABLE_S, Bench, alarms

pytestmark = pytest.mark.unit

FEBRUARY = datetime(2026, 2, 28, tzinfo=UTC)


def say(bench: Bench, name: str, value: object, age_s: float = 2 * SETTLE_S) -> Path:
    """A small file in the input folder; `value` is JSON, or bytes as they are."""
    path = bench.drop(name, value if isinstance(value, bytes) else json.dumps(value).encode())
    set_age(bench, path, age_s)
    return path


def set_age(bench: Bench, path: Path, age_s: float) -> None:
    changed_at = bench.clock.now().timestamp() - age_s
    os.utime(path, (changed_at, changed_at))


async def jobs(bench: Bench) -> dict[str, FileJob]:
    """The jobs of all files that were claimed, by their names."""
    await bench.scan_until_stable()
    await bench.app.emitter.emit_all()
    return {job.file_name: job for job in bench.sent()}


@pytest.mark.parametrize("folder", ["", "acme/"])
async def test_defaults_hold_for_all_files_of_their_folder_and_stay(bench: Bench, folder: str) -> None:
    path = say(bench, f"{folder}{DEFAULTS_NAME}", {"as_of": "2026-02-28", "encoding": "Windows-1250"})
    bench.drop(f"{folder}orders.csv")
    bench.drop(f"{folder}users.csv")
    found = await jobs(bench)
    assert {(job.as_of, job.encoding) for job in found.values()} == {(FEBRUARY, Encoding.WINDOWS_1250)}
    assert len(found) == 2
    bench.clock.move(2 * WAIT_S)
    await bench.app.watch.scan_once()
    assert path.exists()
    assert bench.refused() == {}
    assert [bench.stuck(each) for each in Obstacle] == [0] * len(Obstacle)


async def test_defaults_of_the_folder_above_and_of_a_neighbour_do_not_hold(bench: Bench) -> None:
    say(bench, DEFAULTS_NAME, {"encoding": "windows-1250"})
    say(bench, f"rival/{DEFAULTS_NAME}", {"encoding": "koi8-r"})
    bench.drop("acme/orders.csv")
    assert (await jobs(bench))["orders.csv"].encoding is None


@pytest.mark.parametrize(
    ("said", "as_of", "encoding"),
    [
        ({}, FEBRUARY, Encoding.WINDOWS_1250),
        ({"as_of": "2026-01-31"}, datetime(2026, 1, 31, tzinfo=UTC), Encoding.WINDOWS_1250),
        ({"encoding": "utf-8"}, FEBRUARY, Encoding.UTF_8),
        ({"as_of": "2026-01-31", "encoding": "koi8-r"}, datetime(2026, 1, 31, tzinfo=UTC), Encoding.KOI8_R),
    ],
)
async def test_what_a_file_says_itself_counts_first_field_by_field(
    bench: Bench, said: object, as_of: datetime, encoding: Encoding
) -> None:
    say(bench, f"acme/{DEFAULTS_NAME}", {"as_of": "2026-02-28", "encoding": "windows-1250"})
    say(bench, f"acme/orders.csv{META_SUFFIX}", said)
    bench.drop("acme/orders.csv")
    job = (await jobs(bench))["orders.csv"]
    assert (job.source, job.as_of, job.encoding) == ("acme", as_of, encoding)


@pytest.mark.parametrize(
    "name",
    [
        "orders_2026-02-28.csv",
        "orders20260228.csv",
        "2026_02_28 orders v2.csv",
        "acme.2026.02.28.csv",
        "orders-2026-02-28T0630-20260228.csv",
        "orders-20261399-2026-02-28.csv",
        "orders-12345678-2026-02-28.csv",
    ],
)
async def test_a_file_has_its_moment_from_the_date_in_its_name(bench: Bench, name: str) -> None:
    say(bench, f"acme/{DEFAULTS_NAME}", {"as_of": "file_name_date"})
    bench.drop(f"acme/{name}")
    assert (await jobs(bench))[name].as_of == FEBRUARY


async def test_a_date_in_the_name_is_the_start_of_that_shop_day(bench: Bench) -> None:
    bench.start(shop_timezone="Europe/Berlin")
    say(bench, f"acme/{DEFAULTS_NAME}", {"as_of": "file_name_date"})
    bench.drop("acme/2026-02-28.csv")
    assert (await jobs(bench))["2026-02-28.csv"].as_of == datetime(2026, 2, 27, 23, tzinfo=UTC)


async def test_a_file_has_its_moment_from_the_time_of_its_last_change(bench: Bench) -> None:
    say(bench, f"acme/{DEFAULTS_NAME}", {"as_of": "modified"})
    path = bench.drop("acme/orders.csv")
    os.utime(path, ns=(0, 1_772_236_800_123_456_789))
    assert (await jobs(bench))["orders.csv"].as_of == datetime(2026, 2, 28, 0, 0, 0, 123456, tzinfo=UTC)


NO_MOMENT = [
    ("file_name_date", "orders.csv", None, "no date such as"),
    ("file_name_date", "orders-20260228123000.csv", None, "no date such as"),
    ("file_name_date", "orders-2026-02-30.csv", None, "no date such as"),
    ("file_name_date", "orders-2026-0228.csv", None, "no date such as"),
    ("file_name_date", "orders-2026-02-01-2026-02-28.csv", None, "several dates"),
    ("file_name_date", "orders-2026-03-09.csv", None, "more than 5 minutes after"),
    ("modified", "orders.csv", 1_772_368_800, "more than 5 minutes after"),
    ("modified", "orders.csv", 0, "before 2000-01-01"),
]


@pytest.mark.parametrize(("as_of", "name", "modified", "said"), NO_MOMENT)
async def test_a_file_that_has_no_moment_waits_until_somebody_says_one(
    bench: Bench, as_of: str, name: str, modified: int | None, said: str
) -> None:
    say(bench, f"acme/{DEFAULTS_NAME}", {"as_of": as_of})
    path = bench.drop(f"acme/{name}")
    if modified is not None:
        os.utime(path, (modified, modified))
    with capture_logs() as logs:
        assert await bench.scan_until_stable() == 0
        await bench.app.watch.scan_once()
    assert alarms(logs) == [f"'acme/{name}'"]
    assert said in next(each["problem"] for each in logs if each["event"].startswith("ALARM"))
    assert bench.stuck(Obstacle.NOT_TAKEN) == 1
    assert path.exists()
    say(bench, f"acme/{name}{META_SUFFIX}", {"as_of": "2026-02-28"})
    assert (await jobs(bench))[name].as_of == FEBRUARY
    assert bench.stuck(Obstacle.NOT_TAKEN) == 0


BROKEN = [
    (b"", "JSON"),
    (b'{"encoding": "koi8', "JSON"),
    (b"[]", "object"),
    (b'{"as_of": {"rule": "modified"}}', "as_of"),
    ({"encoding": "latin-9"}, "windows-1250"),
    ({"as_of": "yesterday"}, "file_name_date or modified, or a time"),
    ({"as_of": "2026-03-09"}, "more than 5 minutes after"),
    ({"as_of": None}, "as_of"),
    ({"source": "acme"}, "source"),
    ({"encoding": "koi8-r" + " " * MAX_META_BYTES}, str(MAX_META_BYTES)),
]


@pytest.mark.parametrize(("value", "said"), BROKEN)
async def test_files_wait_with_one_alarm_while_their_defaults_are_wrong(
    bench: Bench, value: object, said: str
) -> None:
    path = say(bench, f"acme/{DEFAULTS_NAME}", value)
    dropped = [bench.drop(f"acme/{name}.csv") for name in ("a", "b", "c")]
    bench.drop("users.csv")
    with capture_logs() as logs:
        assert await bench.scan_until_stable() == 1
        await bench.app.watch.scan_once()
    assert alarms(logs) == [f"'acme/{DEFAULTS_NAME}'"]
    assert said in next(each["problem"] for each in logs if each["event"].startswith("ALARM"))
    assert bench.stuck(Obstacle.DEFAULTS) == 1
    assert all(each.exists() for each in dropped)
    assert bench.refused() == {}
    path.write_bytes(b'{"encoding": "koi8-r"}')
    set_age(bench, path, 2 * SETTLE_S)
    assert await bench.app.watch.scan_once() == 3
    assert bench.stuck(Obstacle.DEFAULTS) == 0
    assert {(await jobs(bench))[each.name].encoding for each in dropped} == {Encoding.KOI8_R}


async def test_a_file_that_says_everything_itself_does_not_wait_for_wrong_defaults(bench: Bench) -> None:
    say(bench, f"acme/{DEFAULTS_NAME}", b"?")
    say(bench, f"acme/orders.csv{META_SUFFIX}", {"as_of": "2026-02-28", "encoding": "utf-8"})
    bench.drop("acme/orders.csv")
    assert list(await jobs(bench)) == ["orders.csv"]


@pytest.mark.parametrize("kind", ["link", "second name", "pipe", "socket", "folder", "lost link"])
async def test_defaults_that_are_no_plain_file_are_not_read(bench: Bench, tmp_path: Path, kind: str) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_bytes(b'{"encoding": "koi8-r"}')
    path = bench.folders.input / "acme" / DEFAULTS_NAME
    file = bench.drop("acme/orders.csv")
    match kind:
        case "link":
            path.symlink_to(elsewhere)
        case "lost link":
            path.symlink_to(tmp_path / "nowhere")
        case "second name":
            path.hardlink_to(elsewhere)
        case "pipe":
            os.mkfifo(path)
        case "socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        case _:
            path.mkdir()
    assert await bench.scan_until_stable() == 0
    assert bench.stuck(Obstacle.DEFAULTS) == 1
    assert file.exists()
    path.rmdir() if kind == "folder" else path.unlink()
    assert (await jobs(bench))["orders.csv"].encoding is None


async def test_a_file_waits_while_its_defaults_are_being_written(bench: Bench) -> None:
    path = say(bench, f"acme/{DEFAULTS_NAME}", b'{"encoding": "k', age_s=-STABLE_S)
    bench.drop("acme/orders.csv")
    assert await bench.scan_until_stable() == 0
    assert bench.stuck(Obstacle.DEFAULTS) == 0
    path.write_bytes(b'{"encoding": "koi8-r"}')
    set_age(bench, path, 0)
    assert await bench.app.watch.scan_once() == 0
    bench.clock.move(SETTLE_S)
    assert (await jobs(bench))["orders.csv"].encoding is Encoding.KOI8_R


async def test_defaults_that_never_come_to_rest_raise_an_alarm_for_the_file_that_waits(bench: Bench) -> None:
    path = say(bench, f"acme/{DEFAULTS_NAME}", {"encoding": "koi8-r"}, age_s=0)
    file = bench.drop("acme/orders.csv")
    for _ in range(int(ALARM_AFTER_S / STABLE_S) + 3):
        assert bench.stuck(Obstacle.CHANGING) == 0
        set_age(bench, path, 0)
        await bench.app.watch.scan_once()
        bench.clock.move(STABLE_S)
        if bench.stuck(Obstacle.CHANGING):
            break
    assert (bench.stuck(Obstacle.CHANGING), file.exists()) == (1, True)
    assert (await jobs(bench))["orders.csv"].encoding is Encoding.KOI8_R
    await bench.app.watch.scan_once()
    assert bench.stuck(Obstacle.CHANGING) == 0
