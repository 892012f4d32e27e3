"""The toy worker as a process of its own, for tests that stop and kill it. Arguments: bootstrap, dsn, topic, group, manner.

Manners: `plain`; `slow` waits a little in every batch; `frozen` stops itself, by signal, in the middle of its first COPY.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from psycopg import AsyncConnection

from tillstream.clock import SystemClock
from tillstream.db.connections import connect
from tillstream.kafka.aio import AioConsumer, ConsumerPolicy
from tillstream.kafka.consumer_loop import ConsumerLoop
from tillstream.kafka.policy import LoopPolicy
from tillstream.kafka.records import Record
from tillstream.kafka.steps import BatchResult, Steps
from tillstream.observe.serve import run

WRITE = "COPY public.ledger (topic, kafka_partition, kafka_offset, value) FROM STDIN"
QUICK_CONSUMER = ConsumerPolicy(session_s=2.0, heartbeat_s=0.2, rebalance_s=5.0, request_s=10.0, answer_s=2.0)


async def write(conn: AsyncConnection, records: Sequence[Record], *, freeze_at: int = -1) -> BatchResult:
    async with conn.cursor().copy(WRITE) as copy:
        for number, record in enumerate(records):
            if number == freeze_at:
                os.kill(os.getpid(), signal.SIGSTOP)
            await copy.write_row((record.topic, record.partition, record.offset, "v" * 100))
    return BatchResult()


async def frozen(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
    return await write(conn, records, freeze_at=len(records) // 2)


async def slow(conn: AsyncConnection, records: Sequence[Record]) -> BatchResult:
    result = await write(conn, records)
    await conn.execute("SELECT pg_sleep(0.02)")
    return result


def main(bootstrap: str, dsn: str, topic: str, group: str, manner: str) -> int:
    async def serve(stop: asyncio.Event) -> None:
        loop = ConsumerLoop(
            AioConsumer(bootstrap, group=group, client_id=manner, policy=QUICK_CONSUMER),
            lambda: connect(dsn, application_name=f"toy {manner}"),
            Steps({"plain": write, "slow": slow, "frozen": frozen}[manner]),
            topics=[topic],
            owner=manner,
            clock=SystemClock(),
            policy=replace(LoopPolicy(), batch_records=500),
        )
        await loop.run(stop)

    return run(serve)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
