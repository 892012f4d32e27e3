"""A shop with a real PostgreSQL and a data directory, and a file-loader whose jobs a test runs one by one."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row
from pydantic import SecretStr

from etl_worker.file_loader.app import App, Ports, build
from etl_worker.file_loader.desk import Desk
from etl_worker.file_loader.jobs import Jobs, Statement
from etl_worker.file_loader.settings import LoaderSettings
from support.postgres import Database
from tillstream.apply.engine import Engine
from tillstream.apply.sweep import Sweeper
from tillstream.clock import SystemClock
from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.files import FileJob, job_key, job_to_json
from tillstream.contracts.ids import new_id
from tillstream.csv.encoding import Encoding
from tillstream.db.connections import connect
from tillstream.folders import Folders, stored_name
from tillstream.kafka.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from tillstream.kafka.records import Outgoing, Record

CLAIMED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHUNK_ROWS = 3
SIDES = ("loaded", "unchanged", "superseded", "duplicate", "parked", "rejected")
# Deleted children first; TRUNCATE refuses tables with a foreign key that is not enforced.
TABLES = [
    "events",
    "order_items",
    "orders",
    "users",
    "products",
    "changes",
    "parked",
    "quarantine",
    "file_job_corrections",
    "file_jobs",
]
_TIMES = {"stored_at", "applied_at", "parked_at", "expires_at", "received_at", "resolved_at", "id"}


@dataclass
class Shop:
    """One database and one data directory; `app` is the loader that runs now."""

    database: Database
    folders: Folders
    broker: MemoryBroker
    conn: AsyncConnection
    app: App
    apps: list[App] = field(default_factory=list)
    claims: int = 0
    encoding: Encoding | None = None
    chunk_rows: int = CHUNK_ROWS

    def ports(self) -> Ports:
        """The real ones, but for Kafka."""
        engine = Engine()
        return Ports(
            consumer=MemoryConsumer(self.broker, group="file-loader"),
            clock=SystemClock(),
            jobs=Jobs(),
            desk=Desk(self.folders),
            apply=engine.apply,
            wake=Sweeper(engine).wake,
        )

    def start(self, ports: Ports | None = None, **settings: Any) -> App:
        """A new process on the same database and directory."""
        settings = {"file_chunk_rows": self.chunk_rows, **settings}
        self.app = make_app(self.database, self.folders, ports or self.ports(), self.encoding, **settings)
        self.apps.append(self.app)
        return self.app

    def declare(self, encoding: Encoding | None) -> None:
        """From now on, files that are no UTF-8 are in this encoding."""
        if encoding != self.encoding:
            self.encoding = encoding
            self.start()

    async def crash(self) -> None:
        """The process is gone, and its connection with it."""
        await self.app.close()

    def claim(
        self,
        name: str,
        content: bytes,
        *,
        source: str = "shop",
        job_id: UUID | None = None,
        as_of: datetime | None = None,
        encoding: Encoding | None = None,
    ) -> FileJob:
        """Put a file into work/ as the watcher does. Later claims are later."""
        self.claims += 1
        job_id = job_id or new_id()
        job = FileJob(
            job_id=job_id,
            file_name=name,
            stored_name=stored_name(job_id, name),
            source=source,
            claimed_at=CLAIMED_AT + timedelta(seconds=self.claims),
            bytes=len(content),
            as_of=as_of,
            encoding=encoding,
        )
        self.folders.sidecar(job_id).write_bytes(job_to_json(job))
        (self.folders.work / job.stored_name).write_bytes(content)
        return job

    async def send(self, *jobs: FileJob) -> None:
        """Publish jobs, as the watcher does."""
        producer = MemoryProducer(self.broker)
        await producer.start()
        results = await producer.publish(
            [Outgoing(FILES_TOPIC, job_key(job.job_id), job_to_json(job)) for job in jobs], 5
        )
        assert all(result.acknowledged for result in results)
        await producer.stop()

    async def queue(self, *jobs: FileJob) -> None:
        """Hand jobs to the consumer's handler, in its transaction."""
        now = datetime.now(UTC)
        records = [
            Record(FILES_TOPIC, 0, n, job_key(job.job_id), job_to_json(job), (), now)
            for n, job in enumerate(jobs)
        ]
        async with self.conn.transaction():
            await self.app.queue(self.conn, records)

    async def run_all(self) -> list[Statement]:
        """Tidy up once, then run what is queued until nothing is."""
        await self.app.tidy.once()
        statements = []
        while (statement := await self.app.runner.run_next()) is not None:
            statements.append(statement)
        return statements

    async def load(self, name: str, content: bytes, **claim: Any) -> dict[str, Any]:
        """Claim, queue and run one file; its job's row at the end."""
        job = self.claim(name, content, **claim)
        await self.queue(job)
        await self.run_all()
        return await self.job(job.job_id)

    async def sweep(self) -> None:
        """Let everything wake up that can."""
        engine = Engine()
        while (await Sweeper(engine).sweep(self.conn)).applied:
            pass

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        async with self.conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(sql.SQL(statement), values)
            return await cursor.fetchall()

    async def job(self, job_id: UUID) -> dict[str, Any]:
        """The row of a job; its statement must add up at any moment."""
        (row,) = await self.rows("SELECT * FROM shop.file_jobs WHERE job_id = %s", job_id)
        assert row["rows"] == sum(row[side] for side in SIDES)
        return row

    async def tables(self, names: list[str] = TABLES[:-2]) -> dict[str, list[dict[str, Any]]]:
        """What the shop knows, without when it learnt it and by which jobs."""
        return {
            name: sorted(
                (
                    {key: value for key, value in row.items() if key not in _TIMES}
                    for row in await self.rows(f"SELECT * FROM shop.{name}")
                ),
                key=repr,
            )
            for name in names
        }

    def files(self) -> dict[str, list[str]]:
        """The names in every folder, without job ids."""
        return {
            folder.name: sorted(path.name.partition("__")[2] or path.name for path in folder.iterdir())
            for folder in self.folders.all()
        }

    def rejects(self, job: dict[str, Any]) -> bytes:
        return (self.folders.invalid / f"{job['job_id']}__{job['file_name']}.rejects.csv").read_bytes()

    async def empty(self) -> None:
        """Forget everything, for a test that tries many endings on one database."""
        async with await AsyncConnection.connect(self.database.owner_dsn, autocommit=True) as owner:
            for name in TABLES:
                await owner.execute(sql.SQL("DELETE FROM shop.{}").format(sql.Identifier(name)))
        for path in self.folders.root.rglob("*"):
            if path.is_file():
                path.unlink()


def make_app(
    database: Database, folders: Folders, ports: Ports, encoding: Encoding | None = None, **more: Any
) -> App:
    settings = LoaderSettings(
        env="development",
        ops_port=0,
        database_url=SecretStr(database.worker_dsn),
        data_dir=folders.root,
        file_settle_s=0,
        file_encoding=encoding,
        **{"file_chunk_rows": CHUNK_ROWS, **more},
    )
    return build(settings, ports)


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    folders = Folders(tmp_path / "data")
    folders.create()
    clock = SystemClock()
    broker = MemoryBroker(clock)
    broker.create_topic(FILES_TOPIC, 3)
    conn = await connect(database.worker_dsn, application_name="loader-test")
    shop = Shop(database, folders, broker, conn, app=None)  # type: ignore[arg-type]
    shop.start()
    yield shop
    for app in shop.apps:
        await app.close()
    await shop.conn.close()


@pytest.fixture(scope="session")
def repository(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath


@pytest.fixture(scope="session")
def dirty(repository: Path) -> dict[str, Any]:
    """What must become of every row of the dirty sample."""
    expected: dict[str, Any] = json.loads((repository / "data/sample-dirty/expected.json").read_text())
    return expected
