"""Whatever is refused unopened is told of as a failed job, whatever stops and starts, and once it is told nothing is left."""

import pytest

from file_watcher.refusals import UNMOVED_AFTER_S, Refusals
from tillstream.contracts.files import FileJob
from tillstream.contracts.ids import new_id
from tillstream.contracts.rules import MAX_TEXT_CHARS
from tillstream.folders import job_id_of, stored_name

from .conftest import STABLE_S, Bench

pytestmark = pytest.mark.unit


def left(bench: Bench) -> list[str]:
    return [path.name for path in bench.folders.work.iterdir()]


async def test_a_refused_file_is_told_of_under_the_job_that_its_name_has(bench: Bench) -> None:
    (bench.folders.input / "acme").mkdir()
    (bench.folders.input / "acme" / "link.csv").symlink_to("/etc/hostname")
    await bench.app.watch.scan_once()
    bench.clock.move(STABLE_S)
    await bench.app.watch.scan_once()
    assert await bench.app.emitter.emit_new()
    ((refused, _),) = bench.refused().items()
    (job,) = bench.sent()
    assert job.job_id == job_id_of(refused.name)
    assert (job.file_name, job.source, job.bytes) == ("link.csv", "acme", 0)
    assert job.refusal == "refused_unopened: it is no regular file"
    assert left(bench) == []
    assert await bench.app.emitter.emit_all()
    assert len(bench.sent()) == 1


async def test_a_refusal_is_kept_until_the_broker_has_it_also_by_the_next_process(bench: Bench) -> None:
    bench.broker.up = False
    bench.drop("big.csv", b"x" * (bench.max_bytes + 1))
    await bench.scan_until_stable()
    assert not await bench.app.emitter.emit_all()
    assert len(left(bench)) == 1
    bench.clock.move(2 * UNMOVED_AFTER_S)
    bench.broker.up = True
    assert await bench.start().emitter.emit_all()
    (job,) = bench.sent()
    assert (job.file_name, job.bytes) == ("big.csv", bench.max_bytes + 1)
    assert left(bench) == []


async def test_what_was_not_moved_is_not_told_of_and_forgotten_after_an_hour(bench: Bench) -> None:
    job_id = new_id()
    job = FileJob(
        job_id, "a.csv", stored_name(job_id, "a.csv"), "shop", bench.clock.now(), 1, refusal="refused"
    )
    refusals = Refusals(bench.folders, bench.clock)
    refusals.note(job)
    written_s = bench.folders.refusal(job_id).stat().st_mtime
    bench.clock.move(written_s - bench.clock.now().timestamp())
    assert await bench.app.emitter.emit_all()
    assert left(bench) == [f"{job_id}.refused"]
    bench.clock.move(UNMOVED_AFTER_S + 1)
    assert await bench.app.emitter.emit_all()
    assert (left(bench), bench.sent()) == ([], [])


async def test_a_reason_of_any_length_is_a_text_of_the_contract(bench: Bench) -> None:
    meta = b'{"' + b"x\\u0007" * MAX_TEXT_CHARS + b'": 1}'
    bench.drop("orders.csv")
    bench.drop("orders.csv.meta.json", meta)
    await bench.scan_until_stable()
    bench.clock.move(10 * STABLE_S)
    await bench.app.watch.scan_once()
    assert await bench.app.emitter.emit_new()
    assert {job.file_name for job in bench.sent()} == {"orders.csv", "orders.csv.meta.json"}
    assert all(job.refusal and len(job.refusal) <= MAX_TEXT_CHARS for job in bench.sent())
