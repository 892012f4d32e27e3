"""The statement of a file stays true whatever becomes of its rows: corrected, replayed, expired, woken, in any order.

PostgreSQL itself refuses a statement whose sides differ or whose columns fall below zero, so every step here is a check.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import AsyncConnection

from tillstream.apply.engine import ApplyPolicy, Engine
from tillstream.apply.file_statements import COLUMNS, column_of, move
from tillstream.apply.replay import Replayer
from tillstream.apply.sweep import Sweeper, alone
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Origin

from .conftest import Connect
from .reading import rows, run_batch, sweep_until_quiet
from .rivals import refused_already
from .test_any_order import ON_ONE_DATABASE
from .worlds import event, make, order, product, user

pytestmark = pytest.mark.integration

JOBS = (UUID(int=901), UUID(int=902))
HASTY = Engine(ApplyPolicy(parked_for=timedelta(0)))
USER_IDS = st.integers(1, 2)
# What can be parked: orders and events. Their parents come in the same files.
ROWS = st.one_of(
    st.tuples(st.just(Entity.ORDER), st.builds(order, st.integers(1, 2), USER_IDS), st.integers(1, 3)),
    st.tuples(st.just(Entity.EVENT), st.builds(event, USER_IDS), st.integers(101, 103)),
    st.tuples(st.just(Entity.USER), st.builds(user, USER_IDS), st.integers(201, 206)),
)


@st.composite
def row_of_a_file(draw: st.DrawFn) -> Message:
    """A first attempt or a correction; the version goes with the id, as a rejects file has it."""
    entity, content, number = draw(ROWS)
    message = replace(make(entity, content, number=number), correction=draw(st.booleans()))
    return refused_already(message, draw(st.integers(0, 1))) if draw(st.integers(0, 3)) == 0 else message


type Step = tuple[str, UUID | None, list[Message]]

CHUNKS: st.SearchStrategy[Step] = st.tuples(
    st.just("load"), st.sampled_from(JOBS), st.lists(row_of_a_file(), min_size=1, max_size=4)
)
OTHERS: st.SearchStrategy[Step] = st.tuples(
    st.sampled_from(["sweep", "expire", "replay"]), st.none(), st.just([])
)


@ON_ONE_DATABASE
@given(data=st.data())
async def test_a_statement_stays_true_whatever_becomes_of_its_rows(
    session: Connect, empty: Callable[[], Awaitable[None]], data: st.DataObject
) -> None:
    await empty()
    conn = await session()
    for each in JOBS:
        await begin_job(conn, each)

    for step, job_id, chunk in data.draw(st.lists(CHUNKS | OTHERS, min_size=2, max_size=8)):
        if job_id is not None:
            await load(conn, job_id, chunk)
        elif step == "replay":
            await replay_everything(conn)
        else:
            await Sweeper(Engine() if step == "sweep" else HASTY).sweep(conn)
        await assert_statements_know_what_waits(conn)

    await load(conn, JOBS[0], [make(Entity.USER, user(n), number=300 + n) for n in (1, 2)])
    await sweep_until_quiet(conn, Engine())
    assert await rows(conn, "SELECT sum(parked) FROM shop.file_jobs") == [(0,)]


async def begin_job(conn: AsyncConnection, job_id: UUID) -> None:
    await conn.execute(
        "INSERT INTO shop.file_jobs (job_id, file_name, source, status, claimed_at)"
        " VALUES (%s, 'orders.csv', 'shop', 'running', now())",
        [job_id],
    )


async def load(conn: AsyncConnection, job_id: UUID, chunk: Sequence[Message]) -> None:
    """As file-loader does it: the rows, and the columns of the statement, in one transaction."""
    messages = [
        replace(message, origin=Origin(job_id=job_id, line=line)) for line, message in enumerate(chunk, 2)
    ]
    async with conn.transaction():
        applied = await HASTY.apply(conn, messages)
        counts = Counter(column_of(result.outcome) for result in applied)
        await conn.execute(
            "UPDATE shop.file_jobs SET rows = rows + %s, loaded = loaded + %s WHERE job_id = %s",
            [len(messages), len(messages), job_id],
        )
        counts["stored"] -= len(messages)
        await move(conn, job_id, counts)


async def replay_everything(conn: AsyncConnection) -> None:
    """A wish for each entry, open or not, as it was refused."""
    await conn.execute(
        "INSERT INTO shop.replay_requests (quarantine_id, requested_by) SELECT id, 'ann' FROM shop.quarantine"
    )
    await Replayer(HASTY, ZoneInfo("UTC")).replay(conn)


async def assert_statements_know_what_waits(conn: AsyncConnection) -> None:
    waiting = dict(await rows(conn, "SELECT job_id, count(*) FROM shop.parked GROUP BY job_id"))
    stated = dict(await rows(conn, "SELECT job_id, parked FROM shop.file_jobs"))
    assert stated == {job_id: waiting.get(job_id, 0) for job_id in JOBS}
    marked = set(await rows(conn, "SELECT message_id FROM shop.changes WHERE outcome = 'parked'"))
    assert marked == set(await rows(conn, "SELECT message_id FROM shop.parked WHERE entity <> 'event'"))


async def statement(conn: AsyncConnection, job_id: UUID) -> dict[str, int]:
    """The columns that are not 0."""
    cursor = await conn.execute(
        "SELECT loaded AS stored, unchanged, superseded, duplicate, parked, rejected FROM shop.file_jobs"
        " WHERE job_id = %s",
        [job_id],
    )
    found = await cursor.fetchone()
    assert found is not None
    return {name: count for name, count in zip(COLUMNS, found, strict=True) if count}


async def test_a_row_that_is_still_wrong_leaves_alone_what_waits_under_its_id(session: Connect) -> None:
    """A rejects file is corrected and dropped, its row waits for a user, and then the old file is dropped again."""
    conn = await session()
    for job_id in JOBS:
        await begin_job(conn, job_id)
    good = replace(make(Entity.ORDER, order(7, 1), number=1), correction=True)
    wrong = refused_already(good, 0)
    await load(conn, JOBS[0], [replace(wrong, correction=False)])
    await load(conn, JOBS[0], [good])
    await load(conn, JOBS[1], [wrong])

    await load(conn, JOBS[1], [make(Entity.USER, user(1), number=2)])
    await sweep_until_quiet(conn, Engine())

    assert await rows(conn, "SELECT order_id FROM shop.orders") == [(7,)]
    assert await statement(conn, JOBS[0]) == {"stored": 1, "rejected": 1}


@pytest.mark.parametrize("entity", [Entity.ORDER, Entity.EVENT])
@pytest.mark.parametrize("parent_is_there", [False, True])
async def test_a_correction_of_what_waits_is_a_duplicate_or_a_conflict(
    session: Connect, entity: Entity, *, parent_is_there: bool
) -> None:
    conn = await session()
    content = {Entity.ORDER: order(7, 1), Entity.EVENT: event(1)}[entity]
    other = {Entity.ORDER: order(7, 1, "pending"), Entity.EVENT: event(1, None, "purchase")}[entity]
    await run_batch(conn, Engine(), [make(entity, content, number=1)])
    parent = [make(Entity.USER, user(1), number=2)]
    if parent_is_there:
        await run_batch(conn, Engine(), parent)

    again = replace(make(entity, content, number=1), correction=True)
    changed = replace(make(entity, other, number=1), correction=True)
    results = [*await run_batch(conn, Engine(), [again]), *await run_batch(conn, Engine(), [changed])]

    assert [(r.outcome.value, r.reason) for r in results] == [
        ("duplicate", None),
        ("quarantined", "id_conflict"),
    ]
    await run_batch(conn, Engine(), parent)
    assert [r.outcome.value for r in (await Sweeper(Engine()).sweep(conn)).applied] == ["stored"]


async def test_a_replay_that_parks_a_row_of_a_file_moves_it_in_its_statement(session: Connect) -> None:
    conn = await session()
    await begin_job(conn, JOBS[0])
    waiting = make(Entity.ORDER, order(7, 1), number=1)
    await load(conn, JOBS[0], [refused_already(waiting, 0), make(Entity.PRODUCT, product(1), number=2)])
    await conn.execute(
        "INSERT INTO shop.replay_requests (quarantine_id, payload, requested_by)"
        " SELECT id, %s, 'ann' FROM shop.quarantine",
        [waiting.payload],
    )
    await Replayer(Engine(), ZoneInfo("UTC")).replay(conn)
    assert await statement(conn, JOBS[0]) == {"stored": 1, "parked": 1}

    await run_batch(conn, Engine(), [make(Entity.USER, user(1), number=3)])
    await Sweeper(Engine()).sweep(conn)
    assert await statement(conn, JOBS[0]) == {"stored": 2}


async def test_a_replay_of_what_is_settled_leaves_its_statement_alone(session: Connect) -> None:
    """The row waited in vain, was corrected to something wrong, and then somebody wants the first content back."""
    conn = await session()
    await begin_job(conn, JOBS[0])
    waiting = make(Entity.ORDER, order(7, 1), number=1)
    await load(conn, JOBS[0], [waiting])
    await Sweeper(HASTY).sweep(conn)
    await load(conn, JOBS[0], [replace(refused_already(waiting, 0), correction=True)])
    await replay_everything(conn)
    assert await statement(conn, JOBS[0]) == {"rejected": 2}

    await run_batch(conn, Engine(), [make(Entity.USER, user(1), number=3)])
    await Sweeper(Engine()).sweep(conn)
    assert await rows(conn, "SELECT order_id FROM shop.orders") == [(7,)]
    assert await statement(conn, JOBS[0]) == {"rejected": 2}


async def test_what_expired_twice_belongs_to_the_file_that_brought_it_last(session: Connect) -> None:
    conn = await session()
    for job_id in JOBS:
        await begin_job(conn, job_id)
    first = make(Entity.ORDER, order(7, 1), number=1)
    for job_id, message in zip(JOBS, (first, replace(first, correction=True)), strict=True):
        await load(conn, job_id, [message])
        await Sweeper(HASTY).sweep(conn)

    await load(conn, JOBS[1], [make(Entity.USER, user(1), number=2)])
    await Sweeper(HASTY).sweep(conn)

    assert await statement(conn, JOBS[0]) == {"rejected": 1}
    assert await statement(conn, JOBS[1]) == {"stored": 2}


async def test_nothing_expires_while_another_process_wakes_it(session: Connect) -> None:
    conn, other = await session(0), await session(1)
    await run_batch(conn, HASTY, [make(Entity.ORDER, order(7, 1), number=1)])
    async with other.transaction():
        assert await alone(other)
        await Sweeper(HASTY).sweep(conn)
        assert await rows(conn, "SELECT count(*) FROM shop.quarantine") == [(0,)]
    await Sweeper(HASTY).sweep(conn)
    assert await rows(conn, "SELECT reason FROM shop.quarantine") == [("unknown_user",)]
