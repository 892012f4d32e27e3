"""What a partner says beside a file goes into its job; what is said wrongly goes to error/ with the file."""

import json
import os
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from file_watcher.meta import SETTLE_S, WAIT_S
from tillstream.contracts.encodings import Encoding
from tillstream.contracts.file_meta import MAX_META_BYTES, META_SUFFIX
from tillstream.contracts.files import FileJob

from .conftest import STABLE_S, Bench

pytestmark = pytest.mark.unit


def describe(bench: Bench, name: str, value: object, age_s: float = 2 * SETTLE_S) -> Path:
    """A meta file beside the file `name`; `value` is JSON, or bytes as they are."""
    path = bench.drop(
        f"{name}{META_SUFFIX}", value if isinstance(value, bytes) else json.dumps(value).encode()
    )
    changed_at = bench.clock.now().timestamp() - age_s
    os.utime(path, (changed_at, changed_at))
    return path


def names(paths: Iterable[Path]) -> list[str]:
    """Of files, without job ids."""
    return sorted(path.name.partition("__")[2] or path.name for path in paths)


async def the_job(bench: Bench) -> FileJob:
    await bench.app.emitter.emit_all()
    (job,) = bench.sent()
    return job


@pytest.mark.parametrize(
    ("value", "source", "as_of"),
    [
        (
            {"source": "acme", "as_of": "2026-02-28T23:00:00+01:00"},
            "acme",
            datetime(2026, 2, 28, 22, tzinfo=UTC),
        ),
        ({"as_of": "2026-02-28"}, "shop", datetime(2026, 2, 28, tzinfo=UTC)),
        ({"source": "pärtner"}, "pärtner", None),
        ({}, "shop", None),
    ],
)
async def test_what_is_said_beside_a_file_stands_in_its_job(
    bench: Bench, value: object, source: str, as_of: datetime | None
) -> None:
    describe(bench, "orders.csv", value)
    bench.drop("orders.csv")
    assert await bench.scan_until_stable() == 1
    job = await the_job(bench)
    assert (job.file_name, job.source, job.as_of) == ("orders.csv", source, as_of)
    assert list(bench.folders.input.iterdir()) == []
    (kept,) = bench.folders.processed.iterdir()
    assert kept.name == f"{job.job_id}__orders.csv{META_SUFFIX}"
    assert json.loads(kept.read_bytes()) == value


@pytest.mark.parametrize(
    ("said", "encoding"), [("windows-1250", Encoding.WINDOWS_1250), ("UTF-8", Encoding.UTF_8)]
)
async def test_the_encoding_that_is_said_beside_a_file_stands_in_its_job(
    bench: Bench, said: str, encoding: Encoding
) -> None:
    describe(bench, "orders.csv", {"encoding": said})
    bench.drop("orders.csv")
    assert await bench.scan_until_stable() == 1
    assert (await the_job(bench)).encoding is encoding


async def test_it_belongs_to_the_file_of_its_name_and_folder_only(bench: Bench) -> None:
    describe(bench, "acme/orders.csv", {"source": "acme", "as_of": "2026-02-28"})
    bench.drop("orders.csv")
    bench.drop("acme/users.csv")
    assert await bench.scan_until_stable() == 2
    await bench.app.emitter.emit_all()
    assert [job.as_of for job in bench.sent()] == [None, None]
    assert names((bench.folders.input / "acme").iterdir()) == [f"orders.csv{META_SUFFIX}"]


BAD = [
    (b"", "JSON"),
    (b'{"source": "acme"', "JSON"),
    (b"[]", "object"),
    (b'"acme"', "object"),
    (b"[" * 2_000, "nested"),
    ({"source": {"name": "acme"}}, "source"),
    ({"source": ""}, "source"),
    ({"source": 7}, "source"),
    ({"source": "a\nb"}, "source"),
    ({"as_of": "yesterday"}, "as_of"),
    ({"as_of": 1_728_988_200}, "as_of"),
    ({"as_of": "2026-03-01T12:06:00Z"}, "as_of"),
    ({"as_of": "1999-01-01"}, "as_of"),
    ({"encoding": "latin-9"}, "encoding must be one of utf-8, windows-1250"),
    ({"encoding": "utf-16"}, "UTF-16 is found out"),
    ({"encoding": None}, "encoding"),
    ({"kind": "orders"}, "kind"),
    ({"source": "x" * MAX_META_BYTES}, str(MAX_META_BYTES)),
    (b'{"source": "\xff"}', "JSON"),
]


@pytest.mark.parametrize(("value", "said"), BAD)
async def test_a_bad_one_sends_both_to_error_with_a_sentence(bench: Bench, value: object, said: str) -> None:
    describe(bench, "orders.csv", value)
    bench.drop("orders.csv")
    with capture_logs() as logs:
        assert await bench.scan_until_stable() == 0
    assert names(bench.refused()) == ["orders.csv", f"orders.csv{META_SUFFIX}"]
    assert list(bench.folders.input.iterdir()) == []
    assert bench.claimed() == {}
    alarms = [each for each in logs if each["event"].startswith("ALARM")]
    assert len(alarms) == 2
    assert all(said in each["problem"] for each in alarms)
    assert all(said in reason for reason in bench.refused().values())


async def test_a_folder_of_a_source_speaks_for_no_other_one(bench: Bench) -> None:
    describe(bench, "acme/orders.csv", {"source": "rival"})
    bench.drop("acme/orders.csv")
    assert await bench.scan_until_stable() == 0
    assert names(bench.refused()) == ["orders.csv", f"orders.csv{META_SUFFIX}"]


async def test_a_link_in_its_place_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes(b'{"source": "acme"}')
    (bench.folders.input / f"orders.csv{META_SUFFIX}").symlink_to(secret)
    bench.drop("orders.csv")
    assert await bench.scan_until_stable() == 0
    assert names(bench.refused()) == ["orders.csv", f"orders.csv{META_SUFFIX}"]
    assert secret.read_bytes() == b'{"source": "acme"}'


async def test_a_socket_in_its_place_fails_no_scan(bench: Bench) -> None:
    os.mknod(bench.folders.input / f"orders.csv{META_SUFFIX}", stat.S_IFSOCK | 0o600)
    bench.drop("orders.csv")
    assert await bench.scan_until_stable() == 0
    assert names(bench.refused()) == ["orders.csv", f"orders.csv{META_SUFFIX}"]


async def test_a_file_waits_while_what_is_said_about_it_is_being_written(bench: Bench) -> None:
    path = bench.drop("orders.csv")
    beside = describe(bench, "orders.csv", b'{"source": "ac', age_s=-STABLE_S)  # new when the file is stable
    assert await bench.scan_until_stable() == 0
    assert path.exists()
    changed_at = bench.clock.now().timestamp()
    beside.write_bytes(b'{"source": "acme"}')
    os.utime(beside, (changed_at, changed_at))
    assert await bench.app.watch.scan_once() == 0
    bench.clock.move(SETTLE_S)
    assert await bench.app.watch.scan_once() == 1
    assert (await the_job(bench)).source == "acme"


@pytest.mark.parametrize(
    "said",
    [{"source": "other"}, {"as_of": "2026-02-28"}, {"encoding": "koi8-r"}, {"source": "acme", "x": 1}, {}],
)
async def test_what_is_said_about_another_file_of_that_name_stays_after_a_restart(
    bench: Bench, said: object
) -> None:
    """The file of acme's folder was claimed, and had none; this one waits for the file in the folder above."""
    waits = describe(bench, "orders.csv", said)
    bench.drop("acme/orders.csv")
    assert await bench.scan_until_stable() == 1
    await bench.start().watch.scan_once()
    assert waits.exists()


async def test_one_without_a_file_waits_and_then_goes_to_error(bench: Bench) -> None:
    describe(bench, "late.csv", {"source": "acme"}, age_s=WAIT_S / 2)
    assert await bench.scan_until_stable() == 0
    assert names(bench.folders.input.iterdir()) == [f"late.csv{META_SUFFIX}"]
    bench.clock.move(WAIT_S)
    await bench.app.watch.scan_once()
    assert list(bench.folders.input.iterdir()) == []
    assert names(bench.refused()) == [f"late.csv{META_SUFFIX}"]
