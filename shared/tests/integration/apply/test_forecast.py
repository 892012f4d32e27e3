"""A dry run foretells what the replayer then does, whatever the reason of the first refusal was."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from psycopg import AsyncConnection

from tillstream.apply.engine import Engine
from tillstream.apply.forecast import Wish, foretell
from tillstream.apply.replay import Replayer
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Origin, Refusal, pack_version
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import payload_hash, to_json

from .conftest import Connect
from .reading import rows, run_batch
from .worlds import START, event, item, make, order, product, user

pytestmark = pytest.mark.integration

UTC_ZONE = ZoneInfo("UTC")
ONE_ID = UUID(int=7)
BROKEN = b"\xff broken"
ENTRY = "SELECT entity, message_id, accepted_at, version, reason FROM shop.quarantine WHERE message_id = %s"
HELD = {
    Entity.USER: user(1),
    Entity.PRODUCT: product(1),
    Entity.ORDER: order(1, 1, items=[item(1, 1)]),
    Entity.ORDER_ITEM: {"order_id": 1, **item(2, 1)},
}


def refused(entity: Entity, at: int) -> Message:
    """A message that broke its contract; what is applied for it later, a case says."""
    return Message(
        entity=entity,
        message_id=ONE_ID,
        source="test",
        accepted_at=START,
        version=pack_version(START.replace(second=at), START, 0, ONE_ID),
        content_hash=payload_hash(BROKEN),
        payload=BROKEN,
        origin=Origin(topic="test", partition=0, offset=1),
        refusal=Refusal(Reason.MALFORMED_JSON, "Not JSON."),
    )


CASES: dict[str, tuple[Entity, int, Any, OutcomeKind, str]] = {
    "new user": (Entity.USER, 9, user(9), OutcomeKind.STORED, "would be accepted"),
    "newer user": (Entity.USER, 9, user(1, "Bo"), OutcomeKind.STORED, "would be accepted"),
    "older user": (Entity.USER, 0, user(1, "Bo"), OutcomeKind.SUPERSEDED, "newer version"),
    "taken address": (
        Entity.USER,
        9,
        user(9, email="USER1@example.org"),
        OutcomeKind.QUARANTINED,
        "User 1 holds",
    ),
    "own address": (Entity.USER, 9, user(1, "Bo", "USER1@example.org"), OutcomeKind.STORED, "accepted"),
    "older and taken": (Entity.USER, 0, user(1, email="user2@example.org"), OutcomeKind.SUPERSEDED, "newer"),
    "older product": (Entity.PRODUCT, 0, product(1), OutcomeKind.SUPERSEDED, "newer version"),
    "no user": (Entity.ORDER, 9, order(9, 99), OutcomeKind.PARKED, "would wait for user 99"),
    "no product": (
        Entity.ORDER,
        9,
        order(9, 1, items=[item(1, 98), item(2, 97), item(3, 1)]),
        OutcomeKind.PARKED,
        "would wait for product 97",
    ),
    "order": (Entity.ORDER, 9, order(9, 1, items=[item(1, 1)]), OutcomeKind.STORED, "would be accepted"),
    "older order": (Entity.ORDER, 0, order(1, 1), OutcomeKind.SUPERSEDED, "newer version"),
    "older fields, older items": (
        Entity.ORDER,
        0,
        order(1, 1, items=[item(5, 1)]),
        OutcomeKind.SUPERSEDED,
        "newer version",
    ),
    "older fields, first items": (
        Entity.ORDER,
        0,
        order(2, 1, items=[item(5, 1)]),
        OutcomeKind.STORED,
        "would be accepted",
    ),
    "item of no order": (
        Entity.ORDER_ITEM,
        9,
        {"order_id": 99, **item(1, 1)},
        OutcomeKind.PARKED,
        "would wait for order 99",
    ),
    "item of no product": (
        Entity.ORDER_ITEM,
        9,
        {"order_id": 1, **item(1, 99)},
        OutcomeKind.PARKED,
        "would wait for product 99",
    ),
    "item": (Entity.ORDER_ITEM, 9, {"order_id": 1, **item(3, 1)}, OutcomeKind.STORED, "would be accepted"),
    "item older than the set": (
        Entity.ORDER_ITEM,
        1,
        {"order_id": 1, **item(3, 1)},
        OutcomeKind.SUPERSEDED,
        "newer version",
    ),
    "item older than itself": (
        Entity.ORDER_ITEM,
        3,
        {"order_id": 1, **item(2, 1)},
        OutcomeKind.SUPERSEDED,
        "newer version",
    ),
    "event": (Entity.EVENT, 9, event(1, 1), OutcomeKind.STORED, "would be accepted"),
    "event of no user": (Entity.EVENT, 9, event(99, 99), OutcomeKind.PARKED, "would wait for user 99"),
    "event of no product": (Entity.EVENT, 9, event(1, 99), OutcomeKind.PARKED, "would wait for product 99"),
    "broken still": (
        Entity.PRODUCT,
        9,
        {**product(9), "price": Decimal(-1)},
        OutcomeKind.QUARANTINED,
        "would be refused again (negative_amount): price must not be below zero.",
    ),
    "no json still": (Entity.PRODUCT, 9, BROKEN, OutcomeKind.QUARANTINED, "(malformed_json)"),
}


async def hold_a_shop(conn: AsyncConnection) -> None:
    """Order 1 has a set of items of second 2 and an item 2 of second 4; order 2 has no set."""
    held = [
        make(Entity.USER, HELD[Entity.USER], number=101, at=2),
        make(Entity.USER, user(2), number=102, at=2),
        make(Entity.PRODUCT, HELD[Entity.PRODUCT], number=103, at=2),
        make(Entity.ORDER, HELD[Entity.ORDER], number=104, at=2),
        make(Entity.ORDER, order(2, 1), number=105, at=2),
        make(Entity.ORDER_ITEM, HELD[Entity.ORDER_ITEM], number=106, at=4),
    ]
    applied = await run_batch(conn, Engine(), held)
    assert {each.outcome for each in applied} == {OutcomeKind.STORED}


async def told_and_done(
    conn: AsyncConnection, operator: AsyncConnection, payload: bytes
) -> tuple[OutcomeKind, str, OutcomeKind]:
    """What a dry run says of the one entry with that payload, and what the replayer then makes of it."""
    cursor = await conn.execute(ENTRY, [ONE_ID])
    entity, message_id, accepted_at, version, reason = (await cursor.fetchall())[-1]
    wish = Wish(entity, message_id, accepted_at, version, payload, reason)
    [forecast] = await foretell(operator, [wish], UTC_ZONE)
    await conn.execute(
        "INSERT INTO shop.replay_requests (quarantine_id, payload, requested_by)"
        " SELECT max(id), %s, 'ann' FROM shop.quarantine",
        [payload],
    )
    [applied] = await Replayer(Engine(), UTC_ZONE).replay(conn)
    return forecast.outcome, forecast.sentence, applied.outcome


@pytest.mark.parametrize("case", CASES)
async def test_what_is_foretold_is_done(session: Connect, operator: AsyncConnection, case: str) -> None:
    conn = await session()
    entity, at, content, outcome, sentence = CASES[case]
    await hold_a_shop(conn)
    await run_batch(conn, Engine(), [refused(entity, at)])
    payload = content if isinstance(content, bytes) else to_json(entity, content)

    told, said, done = await told_and_done(conn, operator, payload)

    assert (told, done) == (outcome, outcome)
    assert sentence in said


CONFLICTS: dict[str, tuple[Callable[[], Message], dict[str, Any], OutcomeKind, str]] = {
    "stored": (
        lambda: make(Entity.USER, user(9), number=7),
        user(9),
        OutcomeKind.DUPLICATE,
        "is stored already",
    ),
    "waiting": (
        lambda: make(Entity.ORDER, order(9, 99), number=7),
        order(9, 99),
        OutcomeKind.DUPLICATE,
        "waits already",
    ),
    "stored event": (
        lambda: make(Entity.EVENT, event(1, 1), number=7),
        event(1, 1),
        OutcomeKind.DUPLICATE,
        "is stored already",
    ),
    "event without a product": (
        lambda: make(Entity.EVENT, event(1), number=7),
        event(1),
        OutcomeKind.DUPLICATE,
        "is stored already",
    ),
    "waiting event": (
        lambda: make(Entity.EVENT, event(99), number=7),
        event(99),
        OutcomeKind.DUPLICATE,
        "waits already",
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
async def test_an_id_that_came_before_is_stored_already_or_refused_again(
    session: Connect, operator: AsyncConnection, case: str
) -> None:
    conn = await session()
    first, content, outcome, sentence = CONFLICTS[case]
    await hold_a_shop(conn)
    message = first()
    await run_batch(conn, Engine(), [message])
    other = {**content, "user_id": 2} if message.entity is not Entity.USER else {**content, "name": "Bo"}
    conflict = make(message.entity, other, number=7, at=1)
    [applied] = await run_batch(conn, Engine(), [conflict])
    assert applied.reason is Reason.ID_CONFLICT

    told, said, done = await told_and_done(conn, operator, to_json(message.entity, content))
    assert (told, done) == (outcome, outcome)
    assert sentence in said

    told, said, done = await told_and_done(conn, operator, to_json(message.entity, other))
    assert (told, done) == (OutcomeKind.QUARANTINED, OutcomeKind.QUARANTINED)
    assert "(id_conflict)" in said


async def test_a_forecast_changes_nothing_and_reads_what_an_operator_may(
    session: Connect, operator: AsyncConnection
) -> None:
    conn = await session()
    await run_batch(conn, Engine(), [refused(Entity.USER, 1)])
    before = await rows(conn, "SELECT * FROM shop.quarantine")
    wishes = [Wish("file", ONE_ID, START, b"v" * 40, b"{}", "malformed_json")]
    [forecast] = await foretell(operator, wishes, UTC_ZONE)
    assert forecast.outcome is OutcomeKind.QUARANTINED
    assert await foretell(operator, [], UTC_ZONE) == []
    assert await rows(conn, "SELECT * FROM shop.quarantine") == before
