"""Events in columns end where the same events end that were read one by one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection

from support.postgres import Database
from tillstream.apply.applied import Applied
from tillstream.apply.applied_columns import AppliedColumns
from tillstream.apply.engine import Engine
from tillstream.apply.sweep import Sweeper
from tillstream.contracts.entities import EVENTS_TOPIC, Entity
from tillstream.contracts.envelope import read_record
from tillstream.contracts.messages import Message
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.parts import joined
from tillstream.contracts.plain_events import PlainEvent
from tillstream.contracts.reasons import Reason
from tillstream.kafka.log_columns import Block
from tillstream.kafka.records import Place
from tillstream.testing.builders import ACCEPTED_AT, UTC_ZONE
from tillstream.testing.log_batches import ToLog, block_in, columns_in, event_id_of, plain_event

from .conftest import Connect
from .reading import read_world, rows, run_batch
from .rivals import BROKEN
from .worlds import World, event, make, product, user

pytestmark = pytest.mark.integration

PARENTS = [make(Entity.USER, user(key), number=key) for key in (1, 2)]
PARENTS += [make(Entity.PRODUCT, product(key), number=10 + key) for key in (1, 2)]
KEYS = st.sampled_from(["1", "2", "3"])  # the third one is nobody's
# Few ids and few contents, so that copies and contradictions are common.
EVENTS = st.builds(
    lambda number, user_id, product_id: plain_event(number, user_id=user_id, product_id=product_id),
    st.integers(0, 11),
    st.sampled_from(["1", "1", "1", "2", "3"]),
    KEYS | st.just(""),
)
BLOCKS = st.lists(EVENTS, min_size=1, max_size=6)
BESIDE = st.lists(
    st.sampled_from(
        [
            make(Entity.USER, user(3), number=20, at=1),
            make(Entity.USER, user(1, "Bo"), number=21, at=1),
            make(Entity.EVENT, event(1), number=22),
            make(Entity.EVENT, event(3), number=23),
            make(Entity.EVENT, event(1), number=24, message_id=event_id_of(1)),
            replace(make(Entity.PRODUCT, product(1), number=25), content=None, refusal=BROKEN),
        ]
    ),
    max_size=4,
)
BATCHES = st.lists(st.lists(BLOCKS, min_size=1, max_size=2), min_size=1, max_size=4)
ALL_EVENTS = """
SELECT event_id, user_id, event_type, product_id, event_timestamp, source, accepted_at, kafka_partition, kafka_offset, job_id, line
FROM shop.events ORDER BY event_id
"""
WAITING = """
SELECT message_id, waits_for, waits_key, payload, version, content_hash, topic, kafka_partition, kafka_offset
FROM shop.parked ORDER BY message_id
"""
REFUSED = """
SELECT message_id, reason, field, payload, version, content_hash, kafka_partition, kafka_offset
FROM shop.quarantine ORDER BY message_id, kafka_partition, kafka_offset
"""
type Read = Sequence[Message | PlainEvent]
type Outcome = tuple[OutcomeKind, Reason | None]

_outcome = attrgetter("outcome", "reason")


def blocks(batches: Sequence[Sequence[Sequence[ToLog]]]) -> list[list[Block]]:
    """Each batch has its records in one partition after the other."""
    offset = 0
    found: list[list[Block]] = []
    for batch in batches:
        found.append([block_in(records, Place(EVENTS_TOPIC, at), offset) for at, records in enumerate(batch)])
        offset += sum(map(len, batch))
    return found


def in_columns(batch: Sequence[Block]) -> Read:
    return joined([columns_in(each) for each in batch])


def one_by_one(batch: Sequence[Block]) -> Read:
    return [read_record(record, Entity.EVENT, UTC_ZONE) for each in batch for record in each]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES, others=st.lists(st.none() | BESIDE, min_size=4, max_size=4))
async def test_columns_and_records_end_alike(
    session: Connect,
    empty: Callable[[], Awaitable[None]],
    batches: list[list[list[ToLog]]],
    others: list[list[Message] | None],
) -> None:
    """Also beside changes and events that were read one by one, in the middle of their batch."""
    conn = await session()
    ends = []
    for read in (in_columns, one_by_one):
        await empty()
        await run(conn, PARENTS)
        outcomes = []
        for batch, beside in zip(blocks(batches), others, strict=False):
            messages = joined([read(batch[:1]), beside or [], read(batch[1:])])
            outcomes.append(list(map(_outcome, await run(conn, messages))))
        ends.append((outcomes, await everything(conn)))
    assert ends[0] == ends[1]


async def run(conn: AsyncConnection, batch: Read) -> Sequence[Applied]:
    async with conn.transaction():
        return await Engine().apply(conn, batch)


async def everything(conn: AsyncConnection) -> tuple[World, list[Any]]:
    return await read_world(conn), [await rows(conn, each) for each in (ALL_EVENTS, WAITING, REFUSED)]


async def test_a_batch_of_new_events_is_told_without_a_look_at_each(session: Connect) -> None:
    conn = await session()
    await run_batch(conn, Engine(), PARENTS)
    events = in_columns(
        [
            block_in(
                [plain_event(number, user_id="1", product_id="1") for number in range(9)],
                Place(EVENTS_TOPIC, 0),
                0,
            )
        ]
    )
    applied = await run(conn, events)
    assert isinstance(applied, AppliedColumns)
    assert (applied.one_by_one, applied.stored_by_moment()) == ([], {ACCEPTED_AT: 9})
    assert {each.outcome for each in applied} == {OutcomeKind.STORED}
    assert [applied[2], applied[-1]] == [*applied[2:3], *applied[8:]]


async def test_the_odd_ones_of_a_batch_are_named(session: Connect) -> None:
    conn = await session()
    await run_batch(conn, Engine(), PARENTS)
    place = Place(EVENTS_TOPIC, 0)
    known = plain_event(3, user_id="1", product_id="1")
    await run(conn, in_columns([block_in([known], place, 0)]))
    batch = [known, plain_event(4, user_id="9", product_id="1"), plain_event(5, user_id="1", product_id="1")]
    applied = await run(conn, in_columns([block_in(batch, place, 1)]))
    assert isinstance(applied, AppliedColumns)
    assert [each.outcome for each in applied] == [
        OutcomeKind.DUPLICATE,
        OutcomeKind.PARKED,
        OutcomeKind.STORED,
    ]
    assert sorted(each.message.message_id for each in applied.one_by_one) == sorted(
        each.message.message_id for each in applied[:2]
    )
    assert +applied.stored_by_moment() == {ACCEPTED_AT: 1}


async def test_what_the_database_refuses_does_not_take_its_neighbours_along(
    session: Connect, database: Database
) -> None:
    conn = await session()
    await run_batch(conn, Engine(), PARENTS)
    async with await AsyncConnection.connect(database.owner_dsn, autocommit=True) as owner:
        await owner.execute("ALTER TABLE shop.events ADD CONSTRAINT planted CHECK (user_id <> 2) NOT VALID")
        try:
            events = [
                plain_event(number, user_id="2" if number == 7 else "1", product_id="1")
                for number in range(12)
            ]
            applied = await run(conn, in_columns([block_in(events, Place(EVENTS_TOPIC, 0), 0)]))
        finally:
            await owner.execute("ALTER TABLE shop.events DROP CONSTRAINT planted")
    outcomes: list[Outcome] = list(map(_outcome, applied))
    stored = (OutcomeKind.STORED, None)
    assert outcomes == [*[stored] * 7, (OutcomeKind.QUARANTINED, Reason.REFUSED_BY_DATABASE), *[stored] * 4]
    assert len(await rows(conn, ALL_EVENTS)) == 11


async def test_parents_in_the_same_batch_are_there_for_events_in_columns(session: Connect) -> None:
    conn = await session()
    events = in_columns([block_in([plain_event(1, user_id="1", product_id="")], Place(EVENTS_TOPIC, 0))])
    applied = await run(conn, joined([events, PARENTS[:1]]))
    assert [each.outcome for each in applied] == [OutcomeKind.STORED, OutcomeKind.STORED]
    assert isinstance(applied, AppliedColumns)
    assert [each.message for each in applied.one_by_one] == PARENTS[:1]
    assert applied.stored_by_moment() == {ACCEPTED_AT: 1}


async def test_an_event_beside_columns_is_told_and_counted_once(session: Connect) -> None:
    conn = await session()
    await run(conn, PARENTS)
    events = in_columns([block_in([plain_event(1, user_id="1", product_id="")], Place(EVENTS_TOPIC, 0))])
    beside = make(Entity.EVENT, event(1), number=24)
    applied = await run(conn, joined([events, [beside]]))
    assert isinstance(applied, AppliedColumns)
    assert [(each.message, each.outcome) for each in applied.one_by_one] == [(beside, OutcomeKind.STORED)]
    assert applied.stored_by_moment() == {ACCEPTED_AT: 1}


async def test_a_parent_beside_columns_wakes_what_waits_for_it(session: Connect) -> None:
    conn = await session()
    await run(conn, [make(Entity.EVENT, event(1), number=24)])
    events = in_columns([block_in([plain_event(1, user_id="1", product_id="")], Place(EVENTS_TOPIC, 0))])
    stored = await run(conn, joined([events, PARENTS]))
    assert isinstance(stored, AppliedColumns)
    woken = await Sweeper(Engine()).wake(conn, stored)
    assert [each.outcome for each in woken] == [OutcomeKind.STORED]


async def test_an_id_that_stands_in_columns_and_beside_them_is_a_conflict(session: Connect) -> None:
    conn = await session()
    await run(conn, PARENTS)
    events = in_columns([block_in([plain_event(1, user_id="1", product_id="")], Place(EVENTS_TOPIC, 0))])
    beside = make(Entity.EVENT, event(2), number=24, message_id=event_id_of(1))
    outcomes = list(map(_outcome, await run(conn, joined([events, [beside]]))))
    assert outcomes == [(OutcomeKind.STORED, None), (OutcomeKind.QUARANTINED, Reason.ID_CONFLICT)]
