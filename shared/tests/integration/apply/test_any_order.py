"""Any permutation, repetition, split into batches and pair of sessions ends in the same tables and outcomes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tillstream.apply.applied import Applied
from tillstream.apply.engine import Engine
from tillstream.contracts.outcomes import OutcomeKind

from .conftest import Connect
from .reading import read_world, rows, run_batch, sweep_until_quiet
from .worlds import batches, changes, expected

pytestmark = pytest.mark.integration

ACCEPTED = {OutcomeKind.STORED, OutcomeKind.UNCHANGED, OutcomeKind.SUPERSEDED}
# The fixtures hold one database for all examples; `empty` brings it back to the start of each.
ON_ONE_DATABASE = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@ON_ONE_DATABASE
@given(data=st.data())
async def test_any_order_repetition_and_split_end_in_the_same_tables(
    session: Connect, empty: Callable[[], Awaitable[None]], data: st.DataObject
) -> None:
    await empty()
    messages = data.draw(changes())
    conn, engine = await session(), Engine()

    for batch in data.draw(batches(messages)):
        results = await run_batch(conn, engine, batch)
        assert [result.message for result in results] == batch
    await sweep_until_quiet(conn, engine)

    assert await read_world(conn) == expected(messages)


@ON_ONE_DATABASE
@given(data=st.data())
async def test_two_sessions_with_the_same_changes_accept_each_once(
    session: Connect, empty: Callable[[], Awaitable[None]], data: st.DataObject
) -> None:
    await empty()
    messages = data.draw(changes())
    conns, engine = (await session(0), await session(1)), Engine()
    plans = (data.draw(batches(messages)), data.draw(batches(messages)))

    async def work(place: int) -> list[str]:
        results: list[Applied] = []
        for batch in plans[place]:
            results += await run_batch(conns[place], engine, batch)
        return [str(r.message.message_id) for r in results if r.outcome in ACCEPTED]

    counted = await asyncio.gather(work(0), work(1))
    await sweep_until_quiet(conns[0], engine)

    assert await read_world(conns[0]) == expected(messages)
    accepted = counted[0] + counted[1]
    assert len(accepted) == len(set(accepted))


@ON_ONE_DATABASE
@given(data=st.data())
async def test_a_second_run_of_everything_changes_nothing(
    session: Connect, empty: Callable[[], Awaitable[None]], data: st.DataObject
) -> None:
    await empty()
    messages = data.draw(changes())
    conn, engine = await session(), Engine()
    await run_batch(conn, engine, messages)
    await sweep_until_quiet(conn, engine)
    before = await read_world(conn)

    again = await run_batch(conn, engine, messages)

    assert {result.outcome for result in again} == {OutcomeKind.DUPLICATE}
    assert await read_world(conn) == before
    assert await rows(conn, "SELECT count(*) FROM shop.quarantine") == [(0,)]
