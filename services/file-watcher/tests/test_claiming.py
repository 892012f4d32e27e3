"""A dropped file is taken once, when it has stopped changing, and nothing else is ever taken."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from file_watcher import claim
from file_watcher.app import build
from file_watcher.settings import WatcherSettings
from file_watcher.stuck import Obstacle
from tillstream.contracts.file_names import MAX_NAME_BYTES
from tillstream.errors import Misconfigured
from tillstream.folders import job_id_of
from tillstream.kafka.memory import MemoryProducer

from .conftest import STABLE_S, Bench, alarms

pytestmark = pytest.mark.unit


async def test_a_file_that_stopped_changing_is_claimed(bench: Bench) -> None:
    bench.drop("orders.csv", b"content")
    assert await bench.scan_until_stable() == 1
    assert bench.claimed() == {"orders.csv": b"content"}
    assert list(bench.folders.input.iterdir()) == []


async def test_a_file_is_left_alone_while_it_grows(bench: Bench) -> None:
    path = bench.drop("orders.csv", b"1")
    for size in range(2, 5):
        await bench.app.watch.scan_once()
        path.write_bytes(b"1" * size)
        bench.clock.move(STABLE_S)
        assert await bench.app.watch.scan_once() == 0
    bench.clock.move(STABLE_S)
    assert await bench.app.watch.scan_once() == 1


async def test_a_file_rewritten_with_the_same_size_counts_as_changed(bench: Bench) -> None:
    path = bench.drop("orders.csv")
    await bench.app.watch.scan_once()
    os.utime(path, ns=(1, 1))
    bench.clock.move(STABLE_S)
    assert await bench.app.watch.scan_once() == 0


async def test_the_folder_below_input_is_the_source(bench: Bench) -> None:
    bench.drop("users.csv")
    bench.drop("acme/users.csv")
    await bench.scan_until_stable()
    await bench.app.emitter.emit_all()
    assert sorted((job.source, job.file_name) for job in bench.sent()) == [
        ("acme", "users.csv"),
        ("shop", "users.csv"),
    ]


@pytest.mark.parametrize("name", [".hidden.csv", "users.csv.tmp", "users.PART", ".source/users.csv"])
async def test_hidden_and_unfinished_files_are_not_seen(bench: Bench, name: str) -> None:
    path = bench.drop(name)
    assert await bench.scan_until_stable() == 0
    assert path.exists()


@pytest.mark.parametrize(("folder", "shown"), [("acme/deep", "'acme/deep'"), ("bidi\u202e", "'bidi\\u202e'")])
async def test_a_folder_that_is_not_looked_into_is_told_once_for_as_long_as_it_is_there(
    bench: Bench, folder: str, shown: str
) -> None:
    path = bench.folders.input / folder
    told = []
    for _ in range(2):
        path.mkdir(parents=True)
        (path / "users.csv").write_bytes(b"x")
        with capture_logs() as logs:
            assert await bench.scan_until_stable() == 0
        told.append(alarms(logs))
        assert bench.stuck(Obstacle.FOLDER) == 1
        (path / "users.csv").unlink()
        path.rmdir()
        assert await bench.app.watch.scan_once() == 0
    assert told == [[shown], [shown]]


def deep_folder(top: Path, path_bytes: int) -> Path:
    """A new folder whose path has that many bytes, made step by step because no call takes a path much longer."""
    handle = os.open(top, os.O_RDONLY)
    path = top
    while (room := path_bytes - len(os.fsencode(path)) - 1) > 0:
        name = "d" * (room if room <= MAX_NAME_BYTES else min(room - 2, MAX_NAME_BYTES))
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle, path = inner, path / name
    os.close(handle)
    return path


async def test_a_source_whose_folder_cannot_be_read_is_told_once_and_keeps_no_other_waiting(
    tmp_path: Path,
) -> None:
    """A path above the system's limit can be looked at by nobody, root included, whose right to read is never refused."""
    bench = Bench(deep_folder(tmp_path, os.pathconf("/", "PC_PATH_MAX") - MAX_NAME_BYTES))
    closed = bench.drop("closed/users.csv").parent
    handle = os.open(closed, os.O_RDONLY)
    os.rename("users.csv", "u" * MAX_NAME_BYTES, src_dir_fd=handle, dst_dir_fd=handle)
    os.close(handle)
    bench.drop("users.csv")
    bench.drop("open/users.csv")
    with capture_logs() as logs:
        assert await bench.scan_until_stable() == 2
    (told,) = [each for each in logs if each["event"].startswith("ALARM")]
    assert told["folder"] == "'closed'"
    assert told["problem"].startswith("it cannot be read: ")


@pytest.mark.parametrize(
    "name",
    [
        b"bad\x01name.csv",
        b"new\nline.csv",
        b"latin\xe9.csv",
        b"x" * 201,
        b"bidi\xe2\x80\xae.csv",
        b"a\\b.csv",
    ],
)
async def test_a_name_that_is_not_fit_sends_the_file_to_error_with_an_alarm(
    bench: Bench, name: bytes
) -> None:
    bench.drop(name, b"kept")
    with capture_logs() as logs:
        assert await bench.scan_until_stable() == 0
    ((refused, reason),) = bench.refused().items()
    assert refused.read_bytes() == b"kept"
    assert reason.startswith(f"{os.fsdecode(name)!a} was refused: its name ")
    assert reason.count("\n") == 1
    assert job_id_of(refused.name) is not None
    assert refused.name.isprintable()
    assert [each["log_level"] for each in logs if "ALARM" in each["event"]] == ["error"]
    assert await bench.app.emitter.emit_new()
    (job,) = bench.sent()
    assert (job.stored_name, job.source, job.bytes) == (refused.name, "shop", 4)
    assert str(job.refusal).startswith("refused_unopened: its name ")
    assert list(bench.folders.work.iterdir()) == []


async def test_a_name_of_greatest_length_is_taken(bench: Bench) -> None:
    bench.drop("é" * 100)
    assert await bench.scan_until_stable() == 1


async def test_a_file_above_the_size_limit_goes_to_error(bench: Bench) -> None:
    bench.drop("big.csv", b"x" * (bench.max_bytes + 1))
    bench.drop("fits.csv", b"x" * bench.max_bytes)
    assert await bench.scan_until_stable() == 1
    assert [path.stat().st_size for path in bench.refused()] == [bench.max_bytes + 1]


async def test_links_and_pipes_go_to_error_and_what_they_lead_to_is_untouched(
    bench: Bench, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (bench.folders.input / "link.csv").symlink_to(secret)
    os.mkfifo(bench.folders.input / "pipe.csv")
    assert await bench.scan_until_stable() == 0
    assert secret.read_bytes() == b"secret"
    assert sorted(path.name.partition("__")[2] for path in bench.refused()) == [
        "link.csv",
        "pipe.csv",
    ]
    assert bench.claimed() == {}


async def test_a_refused_file_that_cannot_be_moved_keeps_its_place_and_leaves_no_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.drop("big.csv", b"x" * (bench.max_bytes + 1))

    def read_only(_source: Path, _target: Path) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as broken:
        broken.setattr(claim, "move", read_only)
        with pytest.raises(OSError, match="Read-only"):
            await bench.scan_until_stable()
    assert path.exists()
    assert list(bench.folders.error.iterdir()) == []
    await bench.app.watch.scan_once()
    assert not path.exists()
    assert len(bench.refused()) == 1


async def test_a_linked_folder_is_no_source(bench: Bench, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "users.csv").write_bytes(b"x")
    (bench.folders.input / "acme").symlink_to(elsewhere)
    assert await bench.scan_until_stable() == 0
    assert (elsewhere / "users.csv").exists()


async def test_a_file_with_a_second_name_waits_until_it_has_one(bench: Bench) -> None:
    path = bench.drop("orders.csv")
    other = bench.folders.root / "other"
    other.hardlink_to(path)
    with capture_logs() as logs:
        assert await bench.scan_until_stable() == 0
        assert await bench.app.watch.scan_once() == 0
    assert len([each for each in logs if "ALARM" in each["event"]]) == 1
    other.unlink()
    assert await bench.app.watch.scan_once() == 1


async def test_two_files_of_one_name_are_two_jobs(bench: Bench) -> None:
    for content in (b"first", b"second"):
        bench.drop("orders.csv", content)
        await bench.scan_until_stable()
    names = bench.folders.claimed().values()
    assert [(bench.folders.work / name).read_bytes() for name in names] == [b"first", b"second"]


async def test_a_full_disk_leaves_the_file_where_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.drop("orders.csv")

    def no_space(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            await bench.scan_until_stable()
    assert path.exists()
    assert list(bench.folders.work.iterdir()) == []
    assert await bench.app.watch.scan_once() == 1


async def test_a_folder_that_is_missing_is_made_at_the_start(tmp_path: Path, bench: Bench) -> None:
    settings = WatcherSettings(data_dir=tmp_path / "new", ops_port=0)
    app = build(settings, producer=MemoryProducer(bench.broker), clock=bench.clock)
    async with app.running():
        names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["error", "input", "invalid", "output", "processed", "work"]
    assert [path for path in (tmp_path / "new").rglob("*") if path.is_file()] == []


def test_folders_on_two_file_systems_are_refused_at_the_start(bench: Bench) -> None:
    bench.folders.work.rmdir()
    with pytest.MonkeyPatch.context() as patched:
        shared_memory = Path("/dev/shm")  # noqa: S108 - a second file system that every Linux machine has
        assert shared_memory.stat().st_dev != bench.folders.root.stat().st_dev
        patched.setattr(type(bench.folders), "work", shared_memory)
        with pytest.raises(Misconfigured, match="one file system"):
            bench.folders.check()
    assert list(bench.folders.input.iterdir()) == []
