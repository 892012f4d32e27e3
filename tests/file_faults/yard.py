"""The processes through which files go, on a real broker and a database of their own: started, asked to die or stand still, looked at."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from faults.holding import pause
from file_faults.roots.steps import HELD_SUFFIX, JOURNAL, KILL, ORDER
from support.ports import free_port
from support.postgres import Database
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.topics import TOPICS
from tillstream.folders import JOINT, SIDECAR_SUFFIX, Folders
from tillstream.kafka.topics import ensure_topics
from tillstream.testing.waiting import eventually
from tillstream_native.processes import Child, Program, tail

HOST = "127.0.0.1"
TESTS, NATIVE = Path(__file__).parents[1], Path(__file__).parents[2] / "infra/native"
ROOTS = "file_faults.roots"
MODULES = {
    "watcher": f"{ROOTS}.watcher",
    "loader": f"{ROOTS}.loader",
    "door": f"{ROOTS}.door",
    "query": "query_api",
}
WITHIN_S = 60.0
ANSWERS_WITHIN_S = 20.0
RETRY_S = 0.1
CHUNK_ROWS = 3
PAGE = 500
OVER = frozenset({"loaded", "loaded_with_rejects", "duplicate", "archived", "failed"})
PARTITIONS = next(topic.partitions for topic in TOPICS if topic.name == FILES_TOPIC)


@dataclass(slots=True)
class Yard:
    """`place` has the data directory, and the logs, pids, orders and journals of the processes."""

    place: Path
    database: Database
    bootstrap: str
    folders: Folders
    query: httpx2.AsyncClient
    door: httpx2.AsyncClient
    settings: dict[str, str] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)

    def start(self, part: str, number: int = 1, **environment: str) -> Child:
        """A process of a part; one that was asked to die has to be gone."""
        name = f"{part}-{number}"
        program = Program(
            name,
            (sys.executable, "-m", MODULES[part]),
            self.place,
            (),
            {**self._environment(part, name), **self.settings, **environment},
        )
        child = self.children[name] = Child(program, self.place)
        child.start()
        return child

    def _environment(self, part: str, name: str) -> Mapping[str, str]:
        own = {
            "watcher": {"TILLSTREAM_FILE_STABLE_S": "0", "TILLSTREAM_FILE_SCAN_S": "0.1"},
            "loader": {
                "TILLSTREAM_DATABASE_URL": self.database.worker_dsn,
                "TILLSTREAM_FILE_CHUNK_ROWS": str(CHUNK_ROWS),
                "TILLSTREAM_FILE_SETTLE_S": "0",
            },
            "door": {"TILLSTREAM_INGEST_PORT": str(self.door.base_url.port)},
            "query": {
                "TILLSTREAM_DATABASE_URL": self.database.reader_dsn,
                "TILLSTREAM_QUERY_PORT": str(self.query.base_url.port),
            },
        }[part]
        return {
            "PYTHONPATH": os.pathsep.join(map(str, (TESTS, NATIVE))),
            "TILLSTREAM_ENV": "development",
            "TILLSTREAM_OPS_PORT": "0",
            "TILLSTREAM_DATA_DIR": str(self.folders.root),
            "TILLSTREAM_KAFKA_BOOTSTRAP": self.bootstrap,
            "TILLSTREAM_FILE_EMIT_AGAIN_S": "1",
            ORDER: str(self.place / f"{name}.order"),
            JOURNAL: str(self.place / f"{name}.journal"),
            **own,
        }

    async def stop(self, *names: str) -> None:
        for name in names:
            await asyncio.to_thread(self.children.pop(name).stop)

    async def kill(self, name: str) -> None:
        """SIGKILL, now."""
        await asyncio.to_thread(self.children.pop(name).kill)

    def order(self, name: str, what: str, step: str) -> None:
        """Ask a process, running or not yet, to die or to stand still at a step: `label` or `label file`."""
        order = self.place / f"{name}.order"
        whole = order.with_suffix(".new")
        whole.write_text(f"{what} {step}")
        whole.rename(order)

    async def dies_at(self, name: str, step: str, within_s: float = WITHIN_S) -> None:
        """The process comes to the step and is killed there by itself."""
        self.order(name, KILL, step)
        if name not in self.children:
            self.start(*_part_and_number(name))
        child = self.children[name]
        await self._until(lambda: not child.running, f"{name} did not come to {step}", within_s)
        (self.place / f"{name}.order").with_suffix(HELD_SUFFIX).unlink(missing_ok=True)
        assert self.children.pop(name).exit_code == -signal.SIGKILL, f"{name} ended before it came to {step}"

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[None]:
        """Within, the process stands still, at the step at which it was ordered to."""
        held = (self.place / f"{name}.order").with_suffix(HELD_SUFFIX)
        await self._until(held.exists, f"{name} does not stand still")
        try:
            yield
        finally:
            held.unlink()

    def steps(self, name: str, file: str) -> list[str]:
        """The labels of what a process has done with a file, in order."""
        lines = (self.place / f"{name}.journal").read_text().splitlines()
        return [label for label, at in map(str.split, lines) if at == file]

    def drop(self, name: str, content: bytes) -> Path:
        """Into the input folder, whole from the first moment."""
        half = self.folders.input / f"{uuid4()}.part"
        half.write_bytes(content)
        return half.rename(self.folders.input / name)

    async def send(self, name: str, content: bytes, key: str) -> dict[str, Any]:
        """POST /ingest/files, again and again under its key until it is acknowledged."""

        async def answered() -> dict[str, Any] | None:
            try:
                answer = await self.door.post(
                    "/ingest/files",
                    params={"name": name},
                    content=content,
                    headers={"Content-Type": "text/csv", "Idempotency-Key": key},
                )
            except httpx2.TransportError:
                await pause(RETRY_S)
                return None
            if answer.status_code in {409, 503, 507}:
                await pause(RETRY_S)
                return None
            assert answer.status_code == 202, answer.text
            return dict(answer.json())

        taken: dict[str, Any] = await self._until(answered, f"{name} was not acknowledged")
        return taken

    def work(self, name: str) -> Path:
        """Where the claimed file of this name lies."""
        [path] = self.folders.work.glob(f"*__{name}")
        return path

    async def jobs(self) -> list[dict[str, Any]] | None:
        """All of them as GET /jobs tells them, the first one first; None while it cannot be asked."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            try:
                answer = await self.query.get("/jobs", params={"limit": PAGE, **cursor})
            except httpx2.TransportError:
                return None
            if answer.status_code != 200:
                return None
            found += answer.json()["jobs"]
            if answer.json()["next_cursor"] is None:
                return found[::-1]
            cursor = {"cursor": answer.json()["next_cursor"]}

    async def over(self, count: int, within_s: float = WITHIN_S) -> list[dict[str, Any]]:
        """So many jobs, all of them over, and nothing on its way."""

        async def all_over() -> list[dict[str, Any]] | None:
            if any(self._files(self.folders.input, self.folders.work)):
                return None
            jobs = await self.jobs() or []
            return jobs if len(jobs) >= count and all(job["status"] in OVER for job in jobs) else None

        found: list[dict[str, Any]] = await self._until(all_over, f"not all of {count} are over", within_s)
        return found

    async def _until(self, probe: Callable[[], Any], problem: str, within_s: float = WITHIN_S) -> Any:
        """Where it takes too long, with what every process said last, for whoever reads a red test."""
        try:
            return await eventually(probe, within_s)
        except AssertionError:
            said = [f"{child!r} said last:\n{tail(child.log)}" for child in self.children.values()]
            left = [f"on its way: {path}" for path in self._files(self.folders.input, self.folders.work)]
            raise AssertionError("\n".join([problem, *left, *said])) from None

    def lying(self) -> list[tuple[str, str, str]]:
        """Every file but those in `invalid/`, once nothing moves any more: folder, name without job, sha256."""
        folders = self.folders
        return [
            (
                folder.name,
                path.name.partition(JOINT)[2] or path.name,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for folder in (folders.input, folders.work, folders.processed, folders.error)
            for path in self._files(folder)
        ]

    def _files(self, *folders: Path) -> Iterator[Path]:
        """In `work/` only what is claimed: the job beside a file may outlive it after a crash, until file-watcher takes it
        for an orphan, and so may what was begun under a name that begins with a dot."""
        for folder in folders:
            for path in folder.rglob("*"):
                if path.is_file() and not (folder == self.folders.work and _is_beside_a_file(path)):
                    yield path

    async def close(self) -> None:
        for child in self.children.values():
            await asyncio.to_thread(child.kill)
        await self.query.aclose()
        await self.door.aclose()


def _is_beside_a_file(path: Path) -> bool:
    return path.name.startswith(".") or (JOINT not in path.name and path.suffix == SIDECAR_SUFFIX)


def _part_and_number(name: str) -> tuple[str, int]:
    part, number = name.split("-")
    return part, int(number)


async def open_yard(place: Path, data: Path, database: Database, bootstrap: str) -> Yard:
    """A yard on folders that are new and on a topic without jobs. query-api runs, and nothing else does."""
    await _empty_topic(bootstrap)
    folders = Folders(data)
    folders.create()
    yard = Yard(place, database, bootstrap, folders, _client(), _client())
    yard.start("query")
    return yard


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://{HOST}:{free_port()}", timeout=ANSWERS_WITHIN_S)


async def _empty_topic(bootstrap: str) -> None:
    """Others' jobs are of no concern here: their files are gone."""
    if FILES_TOPIC in await ensure_topics(bootstrap, TOPICS, deadline_s=WITHIN_S):
        return
    places = [TopicPartition(FILES_TOPIC, number) for number in range(PARTITIONS)]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_records({each: RecordsToDelete(before_offset=-1) for each in places})
    finally:
        await admin.close()
