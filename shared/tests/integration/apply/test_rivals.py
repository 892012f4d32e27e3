"""What depends on the order of arrival, and what must hold in every order all the same.

Who holds an address, and which of two contents under one id counts, is for the order of arrival to decide. That each
content ends in exactly one place, and that the winner is one of those who asked, is not.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import AsyncConnection

from tillstream.apply.engine import Engine
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message

from .conftest import Connect
from .reading import read_world, rows, run_batch, sweep_until_quiet
from .rivals import Kept, read_kept, rivals
from .test_any_order import ON_ONE_DATABASE
from .worlds import batches

pytestmark = pytest.mark.integration


@ON_ONE_DATABASE
@given(data=st.data())
async def test_every_content_ends_in_exactly_one_place(
    session: Connect, empty: Callable[[], Awaitable[None]], data: st.DataObject
) -> None:
    await empty()
    messages = data.draw(rivals())
    conn, engine = await session(), Engine()
    for batch in data.draw(batches(messages)):
        await run_batch(conn, engine, batch)
    await sweep_until_quiet(conn, engine)
    await assert_settled(conn, messages)


@ON_ONE_DATABASE
@given(data=st.data())
async def test_the_same_holds_for_two_sessions_at_once(
    session: Connect, empty: Callable[[], Awaitable[None]], data: st.DataObject
) -> None:
    await empty()
    messages = data.draw(rivals())
    conns, engine = (await session(0), await session(1)), Engine()
    plans = (data.draw(batches(messages)), data.draw(batches(messages)))

    async def work(place: int) -> None:
        for batch in plans[place]:
            await run_batch(conns[place], engine, batch)

    await asyncio.gather(work(0), work(1))
    await sweep_until_quiet(conns[0], engine)
    await assert_settled(conns[0], messages)


@ON_ONE_DATABASE
@given(data=st.data())
async def test_all_of_it_again_in_another_order_changes_nothing(
    session: Connect, empty: Callable[[], Awaitable[None]], data: st.DataObject
) -> None:
    await empty()
    messages = data.draw(rivals())
    conn, engine = await session(), Engine()
    await run_batch(conn, engine, messages)
    await sweep_until_quiet(conn, engine)
    before = await read_world(conn), await read_kept(conn, messages)

    for batch in data.draw(batches(messages)):
        await run_batch(conn, engine, batch)

    assert (await read_world(conn), await read_kept(conn, messages)) == before


async def assert_settled(conn: AsyncConnection, messages: Sequence[Message]) -> None:
    """Everything that must hold once all of `messages` were applied, in whatever order."""
    kept = await read_kept(conn, messages)
    sent = {(m.message_id, m.content_hash) for m in messages}
    places = (kept.accepted, kept.parked, set(kept.quarantined))
    assert set().union(*places) == sent, "nothing is lost and nothing is invented"
    assert sum(len(place) for place in places) == len(sent), "nothing lies in two places"
    assert kept.entries == len(kept.quarantined), "a refusal is kept once"
    assert_refusals_are_fair(messages, kept)
    await assert_users_are_the_newest_accepted(conn, messages, kept)


def assert_refusals_are_fair(messages: Sequence[Message], kept: Kept) -> None:
    """Each refused content breaks its contract, has a rival for its address, or came under a taken id."""
    contents: defaultdict[UUID, set[bytes]] = defaultdict(set)
    claims: defaultdict[str, set[int]] = defaultdict(set)
    for message in messages:
        if message.content is not None:
            contents[message.message_id].add(message.content_hash)
        if message.content is not None and message.entity is Entity.USER:
            claims[message.content["email"].lower()].add(message.content["user_id"])
    for message in messages:
        reason = kept.quarantined.get((message.message_id, message.content_hash))
        if message.content is None:
            assert reason == "invalid_email"
        elif reason == "duplicate_email":
            assert len(claims[message.content["email"].lower()]) > 1
        elif reason is not None:
            assert reason == "id_conflict"
            assert len(contents[message.message_id]) > 1
    for message_id, hashes in contents.items():
        losers = [each for each in hashes if kept.quarantined.get((message_id, each)) == "id_conflict"]
        assert len(losers) == len(hashes) - 1, "one content of an id counts, all others are its conflicts"


async def assert_users_are_the_newest_accepted(
    conn: AsyncConnection, messages: Sequence[Message], kept: Kept
) -> None:
    """Of the accepted changes of a user the newest is the row; a refused one has no effect."""
    accepted = await rows(
        conn,
        "SELECT key, max(version) FROM shop.changes WHERE entity = 'user'"
        " AND outcome IN ('stored', 'unchanged', 'superseded') GROUP BY key",
    )
    stored = await rows(conn, "SELECT user_id, name, email, version FROM shop.users")
    assert {user_id: version for user_id, _, _, version in stored} == dict(accepted)
    good = {
        (m.content["user_id"], m.content["name"], m.content["email"])
        for m in messages
        if m.content is not None
        and m.entity is Entity.USER
        and (m.message_id, m.content_hash) in kept.accepted
    }
    assert {(user_id, name, email) for user_id, name, email, _ in stored} <= good
