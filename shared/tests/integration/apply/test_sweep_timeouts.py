"""A stretch of waiting changes that PostgreSQL ends for the time it takes is swept in shorter ones."""

from collections.abc import Sequence
from typing import override

import pytest
from psycopg import AsyncConnection, errors

from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.apply.sweep import Sweeper
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message
from tillstream.contracts.plain_events import PlainEvent

from .conftest import Connect
from .reading import rows, run_batch
from .worlds import event, make, user

pytestmark = pytest.mark.integration

WAITING = 8


class Slow(Engine):
    """Only one change at a time is in time."""

    @override
    async def apply(
        self, conn: AsyncConnection, messages: Sequence[Message | PlainEvent]
    ) -> Sequence[Applied]:
        if len(messages) > 1:
            await conn.execute("SET LOCAL statement_timeout = '10ms'")
            await conn.execute("SELECT pg_sleep(10)")
        return await super().apply(conn, messages)


async def test_a_stretch_that_takes_too_long_is_swept_in_shorter_ones(session: Connect) -> None:
    conn = await session()
    waiting = [make(Entity.EVENT, event(1), number=n) for n in range(1, WAITING + 1)]
    await run_batch(conn, Engine(), waiting)
    await run_batch(conn, Engine(), [make(Entity.USER, user(1), number=100)])
    sweeper = Sweeper(Slow(), window=WAITING)

    for _ in range(3):  # 8, 4, 2: each too much, and nothing of it is done
        with pytest.raises(errors.QueryCanceled):
            await sweeper.sweep(conn)
        assert await rows(conn, "SELECT count(*) FROM shop.parked") == [(WAITING,)]
    woken = [len((await sweeper.sweep(conn)).applied) for _ in range(WAITING)]

    assert woken == [1] * WAITING
    assert await rows(conn, "SELECT count(*) FROM shop.parked") == [(0,)]
