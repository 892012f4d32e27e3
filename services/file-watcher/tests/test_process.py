"""file-watcher as a process: what it says on stdout, and how it ends."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from support.kafka import KafkaServer
from tillstream.contracts.topics import TOPICS
from tillstream.kafka.topics import ensure_topics
from tillstream.observe.serve import EXIT_CLEAN, EXIT_MISCONFIGURED

pytestmark = pytest.mark.integration

WITHIN_S = 20.0


async def start(data_dir: Path, bootstrap: str) -> asyncio.subprocess.Process:
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
        stdout=asyncio.subprocess.PIPE,
    )


async def test_the_process_claims_what_is_dropped_and_ends_when_asked(
    tmp_path: Path, kafka_server: KafkaServer
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


async def test_the_process_ends_and_says_why_when_the_broker_can_never_be_reached(tmp_path: Path) -> None:
    process = await start(tmp_path, "kafka:abc")
    async with asyncio.timeout(WITHIN_S):
        output, _ = await process.communicate()
    assert process.returncode == EXIT_MISCONFIGURED
    assert "'kafka:abc'" in json.loads(output.splitlines()[-1])["problem"]
