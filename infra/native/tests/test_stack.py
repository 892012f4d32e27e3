"""`make up` and `make down` on a whole stack: repeated, interrupted, crashed."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from support.kafka import CACHE
from support.ports import free_ports
from support.stack import RunningStack, run_stack
from tillstream.contracts.entities import TOPIC_OF, Entity
from tillstream.contracts.topics import TOPICS
from tillstream.testing.builders import user_item
from tillstream.testing.waiting import eventually
from tillstream.variables import misspelt
from tillstream_native.places import NAMES, Places
from tillstream_native.sample import ORDER
from tillstream_native.services import MODULES
from tillstream_native.stack import Stack
from tillstream_native.system import LOCALHOST, CannotRun

pytestmark = pytest.mark.e2e

COMMAND_WITHIN_S = 60
ACCEPT = ("run", "tillstream", "partitions", "accept", "--from", "earliest", "--yes")
USERS = next(spec for spec in TOPICS if spec.name == TOPIC_OF[Entity.USER])


@pytest.fixture(scope="module")
def running(server_place: Path) -> Iterator[RunningStack]:
    """A stack of this module's own: its tests take it down."""
    yield from run_stack(server_place / "own-state", {})


def pids(running: RunningStack) -> dict[str, int | None]:
    return {part.name: part.pid for part in running.native.status()}


def command(running: RunningStack, *arguments: str) -> subprocess.Popen[str]:
    """One of `make`'s commands as a process that is told the state alone."""
    places = running.native.places
    where = ("--state", str(places.state), "--cache", str(places.cache))
    return subprocess.Popen(
        [sys.executable, "-m", "tillstream_native", *where, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(running: RunningStack, *arguments: str) -> str:
    """What a command says that must succeed."""
    with command(running, *arguments) as process:
        try:
            said, _ = process.communicate(timeout=COMMAND_WITHIN_S)
        finally:
            process.kill()
    assert process.returncode == 0, said
    return said


def jobs_of(running: RunningStack) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = httpx2.get(f"{running.query_url}/jobs").raise_for_status().json()["jobs"]
    return jobs


async def users_log(running: RunningStack) -> list[tuple[int, int, bytes | None]]:
    """Partition, offset and value of every record of the topic of users."""
    records = []
    async with AIOKafkaConsumer(bootstrap_servers=running.bootstrap, group_id=None) as consumer:
        places = [TopicPartition(USERS.name, number) for number in range(USERS.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, 0)
            while await consumer.position(place) < ends[place]:
                record = await consumer.getone(place)
                records.append((record.partition, record.offset, record.value))
    return records


def test_everything_runs_and_is_ready(running: RunningStack) -> None:
    assert {part.name: part.state for part in running.native.status()} == dict.fromkeys(NAMES, "running")
    running.wait_ready()


def test_no_process_is_given_a_variable_that_nobody_knows(running: RunningStack) -> None:
    given = {name: psutil.Process(running.pid(name)).environ() for name in MODULES}
    assert [name for name, variables in given.items() if "TILLSTREAM_ENV" not in variables] == []
    assert [sentence for variables in given.values() for sentence in misspelt(variables)] == []


def test_second_up_changes_nothing(running: RunningStack) -> None:
    before = pids(running)
    running.native.up()
    assert pids(running) == before


async def test_second_up_creates_a_topic_that_is_gone_and_accept_lets_it_go_on(running: RunningStack) -> None:
    name = TOPIC_OF[Entity.PRODUCT]
    admin = AIOKafkaAdminClient(bootstrap_servers=running.bootstrap)
    await admin.start()
    try:

        async def is_gone() -> bool:
            return name not in await admin.list_topics()

        await admin.delete_topics([name])
        await eventually(is_gone)
        await asyncio.to_thread(running.native.up)
        assert not await is_gone()
    finally:
        await admin.close()

    def is_accepted() -> bool:  # not before the worker has seen the new topic and refused it
        with command(running, *ACCEPT, name) as process:
            process.communicate(timeout=COMMAND_WITHIN_S)
        return process.returncode == 0

    await eventually(partial(asyncio.to_thread, is_accepted), COMMAND_WITHIN_S)
    running.wait_ready()


def test_second_up_says_that_its_settings_do_not_count(running: RunningStack) -> None:
    said: list[str] = []
    places, ports = running.native.places, running.native.ports
    Stack(places, ports, {"TILLSTREAM_FILE_PARALLEL": "2"}, said.append).up()
    assert [each for each in said if "`make down` first for: TILLSTREAM_FILE_PARALLEL." in each]
    said.clear()
    Stack(places, ports, {}, said.append).up()
    assert not [each for each in said if "make down" in each]


def test_other_ports_are_refused_while_the_stack_runs(running: RunningStack) -> None:
    moved = Stack(running.native.places, free_ports(), {}, print)
    with pytest.raises(CannotRun, match="runs already, with PORT_OFFSET="):
        moved.up()


def test_processes_that_a_killed_supervisor_left_behind_are_replaced(running: RunningStack) -> None:
    before = pids(running)
    with psycopg.connect(running.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS public.kept AS SELECT 42 AS answer")
    os.kill(int((running.native.places.run / "supervisord.pid").read_text()), signal.SIGKILL)
    running.native.up()
    after = pids(running)
    assert [name for name in NAMES if after[name] in {None, before[name]}] == []
    assert [pid for pid in before.values() if pid and psutil.pid_exists(pid)] == []
    with psycopg.connect(running.superuser_dsn) as connection:
        assert connection.execute("SELECT answer FROM public.kept").fetchone() == (42,)


async def test_down_ends_every_process_and_keeps_the_state(running: RunningStack) -> None:
    before = pids(running)
    httpx2.post(
        f"{running.ingest_url}/ingest/users", json=user_item(user_id=999, email="kept@example.org")
    ).raise_for_status()
    log = await users_log(running)
    cluster = running.native.places.kafka / "log" / "meta.properties"
    cluster_id = cluster_id_in(cluster)
    files = [running.inbox / "half.csv.part", running.data_dir / "processed" / "done.csv"]
    for file in files:
        file.write_text("kept")
    running.native.down()
    assert [pid for pid in before.values() if pid and psutil.pid_exists(pid)] == []
    assert {part.state for part in running.native.status()} == {"stopped"}
    running.native.down()
    running.native.up()
    running.wait_ready()
    with psycopg.connect(running.superuser_dsn) as connection:
        assert connection.execute("SELECT answer FROM public.kept").fetchone() == (42,)
    assert (cluster_id_in(cluster), [file.read_text() for file in files]) == (cluster_id, ["kept", "kept"])
    assert await users_log(running) == log != []


def cluster_id_in(properties: Path) -> str:
    (line,) = [each for each in properties.read_text().splitlines() if each.startswith("cluster.id=")]
    return line


def test_up_loads_the_sample_once_and_says_where_everything_is(running: RunningStack) -> None:
    ports = running.native.ports
    first, jobs = answer(running, "up"), jobs_of(running)
    second = answer(running, "up")
    assert jobs_of(running) == jobs
    assert sorted(job["file_name"] for job in jobs) == sorted(f"{kind}.csv" for kind in ORDER)
    for said in (first, second):
        assert "The sample shop is loaded: 5 files, 427 rows." in said
        addressed = {int(port) for port in re.findall(rf"{LOCALHOST}:(\d+)", said)}
        assert addressed == {ports.ingest, ports.query, ports.postgres, ports.kafka}
        assert str(running.inbox) in said
        assert len([line for line in said.splitlines() if line.startswith("  curl ")]) == 3


async def test_demo_finds_the_stack_and_ends_well_when_it_is_interrupted(running: RunningStack) -> None:
    def arrived() -> bool:
        with psycopg.connect(running.superuser_dsn) as connection:
            return bool(connection.execute("SELECT 1 FROM shop.changes WHERE source = 'demo'").fetchone())

    with command(running, "run", "tillstream", "demo", "--rate", "50") as demo:
        try:
            await eventually(arrived, COMMAND_WITHIN_S)
            demo.send_signal(signal.SIGINT)
            said, _ = demo.communicate(timeout=COMMAND_WITHIN_S)
        finally:
            demo.kill()
    assert demo.returncode == 0
    assert re.fullmatch(r"sent [1-9][\d,]* · accepted [1-9].*/s", said.splitlines()[-1])


def test_down_as_a_command_stops_the_stack_that_the_state_names(running: RunningStack) -> None:
    assert answer(running, "down") == "Tillstream is stopped; its state is kept.\n"
    assert {part.state for part in running.native.status()} == {"stopped"}


def test_taken_port_stops_the_start_before_anything_runs(server_place: Path) -> None:
    ports = free_ports()
    refused = Stack(Places(server_place / "refused", CACHE), ports, {}, print)
    with (
        socket.create_server((LOCALHOST, ports.query)),
        pytest.raises(
            CannotRun,
            match=f"Port {ports.query}, which query-api needs, is taken by .* with pid {os.getpid()}",
        ),
    ):
        refused.up()
    assert not refused.supervisor.running
    assert not (refused.places.state / "postgres").exists()
