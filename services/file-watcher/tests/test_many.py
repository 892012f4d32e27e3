"""Thousands of files at once: all are claimed and told, in a time and a memory that grow with their number and no faster."""

import asyncio
import tracemalloc
from uuid import UUID

import pytest

from tillstream.clock import SystemClock
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.folders import Folders
from tillstream.kafka.memory import MemoryBroker
from tillstream.testing.waiting import eventually

from .conftest import Bench

pytestmark = pytest.mark.unit

FILES = 3_000
SOURCES = 3
WITHIN_S = 90.0
AGAIN_S = 600.0  # later than this test ends: a repetition would be memory too
BYTES_PER_FILE = 8_192  # 2,600 where the hints are taken as fast as they come, 5,500 where they queue up
# Looking through the whole of work/ for each file that is new there would be quadratic.
MOST_LISTINGS = FILES / 100


class Listings:
    """How often the claimed files were listed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        true = Folders.claimed

        def counted(folders: Folders) -> dict[UUID, str]:
            self.count += 1
            return true(folders)

        monkeypatch.setattr(Folders, "claimed", counted)


def drop_all(bench: Bench) -> set[tuple[str, str]]:
    names = {(f"partner-{number % SOURCES}", f"{number}.csv") for number in range(FILES)}
    for source, name in names:
        bench.drop(f"{source}/{name}", name.encode())
    return names


def told(bench: Bench) -> set[bytes | None]:
    """The keys of the jobs that the broker has."""
    places = bench.broker.places(FILES_TOPIC)
    return {record.key for place in places for record in bench.broker.log(place).records}


async def test_thousands_of_files_are_claimed_once_and_told_within_bounds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = drop_all(bench)
    bench.broker = MemoryBroker(SystemClock())
    bench.broker.create_topic(FILES_TOPIC, 3)
    app = bench.start(clock=SystemClock(), file_scan_s=1, file_stable_s=0.2, file_emit_again_s=AGAIN_S)
    listings = Listings(monkeypatch)
    stop = asyncio.Event()
    async with app.running():
        tracemalloc.start()
        loops = asyncio.create_task(app.work(stop))
        await eventually(lambda: app.metrics.files_claimed._value.get() >= FILES, WITHIN_S)
        await eventually(lambda: len(told(bench)) == FILES, WITHIN_S)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        stop.set()
        await asyncio.wait_for(loops, WITHIN_S)
    jobs = bench.sent()
    assert len(jobs) == FILES
    assert {(job.source, job.file_name) for job in jobs} == names
    assert {job.job_id: job.stored_name for job in jobs} == bench.folders.claimed()
    assert len(bench.folders.claimed()) == FILES
    assert [path for path in bench.folders.input.rglob("*") if path.is_file()] == []
    assert listings.count <= MOST_LISTINGS
    assert peak_bytes <= FILES * BYTES_PER_FILE
