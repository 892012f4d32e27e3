"""file-watcher as a process: what it says on stdout, and how it ends."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from support.kafka import KafkaServer
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.files import FileJob, read_job
from tillstream.contracts.topics import TOPICS
from tillstream.folders import Folders
from tillstream.kafka.topics import ensure_topics
from tillstream.observe.serve import EXIT_CLEAN, EXIT_MISCONFIGURED
from tillstream.testing.waiting import eventually

pytestmark = pytest.mark.integration

WITHIN_S = 20.0
RECOVERS_WITHIN_S = 60.0
FILES = 300
Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts watchers, and leaves none behind when a test has failed."""
    started: list[Process] = []

    async def one(data_dir: Path, bootstrap: str, stdout: int = asyncio.subprocess.PIPE) -> Process:
        started.append(await _watcher(data_dir, bootstrap, stdout))
        return started[-1]

    yield one
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _watcher(data_dir: Path, bootstrap: str, stdout: int) -> Process:
    environment = {
        "TILLSTREAM_ENV": "development",
        "TILLSTREAM_DATA_DIR": str(data_dir),
        "TILLSTREAM_KAFKA_BOOTSTRAP": bootstrap,
        "TILLSTREAM_OPS_PORT": "0",
        "TILLSTREAM_FILE_STABLE_S": "0",
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "file_watcher"),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=stdout,
    )


async def test_the_process_claims_what_is_dropped_and_ends_when_asked(
    tmp_path: Path, kafka_server: KafkaServer, start: Start
) -> None:
    await ensure_topics(kafka_server.bootstrap, TOPICS, deadline_s=WITHIN_S)
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "users.csv").write_text("user_id\n")
    process = await start(tmp_path, kafka_server.bootstrap)
    assert process.stdout is not None
    lines: list[bytes] = []
    async with asyncio.timeout(WITHIN_S):
        while not any(b"Claimed a file." in line for line in lines):
            lines.append(await process.stdout.readline())
        process.terminate()
        lines += (await process.communicate())[0].splitlines()
    assert process.returncode == EXIT_CLEAN
    told = [json.loads(line) for line in lines]
    assert {each["service"] for each in told} == {"file-watcher"}
    assert {"Stopping, as asked.", "Stopped."} <= {each["event"] for each in told}


async def test_the_process_ends_and_says_why_when_the_broker_can_never_be_reached(
    tmp_path: Path, start: Start
) -> None:
    process = await start(tmp_path, "kafka:abc")
    async with asyncio.timeout(WITHIN_S):
        output, _ = await process.communicate()
    assert process.returncode == EXIT_MISCONFIGURED
    assert "'kafka:abc'" in json.loads(output.splitlines()[-1])["problem"]


async def jobs_in_topic(bootstrap: str, source: str) -> list[FileJob]:
    """All of a source's that the broker has, repetitions included."""
    partitions = next(each.partitions for each in TOPICS if each.name == FILES_TOPIC)
    places = [TopicPartition(FILES_TOPIC, each) for each in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        jobs: list[FileJob] = []
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                read = [read_job(record.value, datetime.now(UTC)) for record in records]
                jobs += [job for job in read if isinstance(job, FileJob) and job.source == source]
    finally:
        await consumer.stop()
    return jobs


async def test_two_processes_on_one_folder_claim_each_file_once(
    tmp_path: Path, kafka_server: KafkaServer, start: Start
) -> None:
    await ensure_topics(kafka_server.bootstrap, TOPICS, deadline_s=WITHIN_S)
    folders = Folders(tmp_path)
    folders.create()
    (folders.input / "rivals").mkdir()
    logs = [tmp_path / f"{number}.log" for number in range(2)]
    processes = []
    for log in logs:
        with log.open("wb") as file:
            processes.append(await start(tmp_path, kafka_server.bootstrap, file.fileno()))
    dropped: list[str] = []

    def drop() -> None:
        beginning = folders.input / "rivals" / f"{len(dropped)}.part"
        beginning.write_text(str(len(dropped)))
        dropped.append(beginning.rename(beginning.with_suffix(".csv")).name)

    def both_claim() -> bool:
        drop()
        return all(b"Claimed a file." in log.read_bytes() for log in logs)

    await eventually(both_claim, RECOVERS_WITHIN_S)
    for _ in range(FILES):
        drop()
    await eventually(lambda: len(folders.claimed()) == len(dropped), RECOVERS_WITHIN_S)

    async def all_told() -> bool:
        jobs = await jobs_in_topic(kafka_server.bootstrap, "rivals")
        return {job.job_id for job in jobs} == folders.claimed().keys()

    await eventually(all_told, RECOVERS_WITHIN_S)
    for process in processes:
        process.terminate()
        assert await process.wait() == EXIT_CLEAN
    told = [[json.loads(line) for line in log.read_bytes().splitlines()] for log in logs]
    claimed = [[each["file_name"] for each in lines if each["event"] == "Claimed a file."] for lines in told]
    assert Counter(claimed[0] + claimed[1]) == Counter(dropped)
    assert [
        each for lines in told for each in lines if each["level"] == "error" and "ALARM" in each["event"]
    ] == []
    contents = {
        name.partition("__")[2]: (folders.work / name).read_text() for name in folders.claimed().values()
    }
    assert contents == {f"{number}.csv": str(number) for number in range(len(dropped))}


async def test_files_are_claimed_while_kafka_is_down_and_told_by_the_next_process_when_it_is_back(
    tmp_path: Path, kafka_server: KafkaServer, start: Start
) -> None:
    await ensure_topics(kafka_server.bootstrap, TOPICS, deadline_s=WITHIN_S)
    folders = Folders(tmp_path)
    folders.create()
    (folders.input / "outage").mkdir()
    await asyncio.to_thread(kafka_server.stop)
    try:
        first = await start(tmp_path, kafka_server.bootstrap, asyncio.subprocess.DEVNULL)
        (folders.input / "outage" / "a.csv").write_text("a")
        await eventually(lambda: len(folders.claimed()) == 1, WITHIN_S)
        first.kill()
        await first.wait()
        second = await start(tmp_path, kafka_server.bootstrap, asyncio.subprocess.DEVNULL)
        (folders.input / "outage" / "b.csv").write_text("b")
        await eventually(lambda: len(folders.claimed()) == 2, WITHIN_S)
    finally:
        await asyncio.to_thread(kafka_server.start)

    async def both_told() -> set[FileJob]:
        jobs = set(await jobs_in_topic(kafka_server.bootstrap, "outage"))
        return jobs if len(jobs) >= len(folders.claimed()) else set()

    jobs = await eventually(both_told, RECOVERS_WITHIN_S)
    second.terminate()
    assert await second.wait() == EXIT_CLEAN
    assert {job.job_id: job.stored_name for job in jobs} == folders.claimed()
