"""The same works on a real broker, with topics that nobody has written to yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import override

from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from etl_worker.app import App, build
from etl_worker.settings import WorkerSettings
from support.kafka import KafkaServer
from support.postgres import Database
from tillstream.contracts.topics import TOPICS
from tillstream.kafka.aio import AioProducer
from tillstream.kafka.topics import ensure_topics
from tillstream.testing.waiting import eventually

from .conftest import DEADLINE_S, Works

TOPIC_NAMES = {spec.name for spec in TOPICS}


class RealWorks(Works):
    """The whole worker, as its own composition root builds it."""

    @override
    def app(self) -> App:
        return build(self.settings)


@asynccontextmanager
async def real_works(database: Database, server: KafkaServer) -> AsyncIterator[RealWorks]:
    """Begins and ends without a record in any topic: the names are the same for all tests of one broker."""
    await delete_topics(server.bootstrap)
    await ensure_topics(server.bootstrap, TOPICS, deadline_s=DEADLINE_S)
    producer = AioProducer(server.bootstrap, client_id="test")
    await producer.start()
    settings = WorkerSettings(
        database_url=SecretStr(database.worker_dsn),
        kafka_bootstrap=server.bootstrap,
        ops_port=0,
        env="development",
    )
    try:
        yield RealWorks(database, producer, settings)
    finally:
        await producer.stop()
        await delete_topics(server.bootstrap)


async def delete_topics(bootstrap: str) -> None:
    """Returns once the broker does not know them any more."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if there := TOPIC_NAMES.intersection(await admin.list_topics()):
            await admin.delete_topics(sorted(there))

        async def gone() -> bool:
            return TOPIC_NAMES.isdisjoint(await admin.list_topics())

        await eventually(gone, DEADLINE_S)
    finally:
        await admin.close()
