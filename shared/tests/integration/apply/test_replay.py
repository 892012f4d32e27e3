"""A person's wish to apply a quarantined message again is met once, under the first id and version."""

from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from psycopg import AsyncConnection

from tillstream.apply import replay
from tillstream.apply.engine import Engine
from tillstream.apply.replay import Replayer
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Refusal
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import payload_hash

from .conftest import Connect
from .reading import rows, run_batch
from .worlds import make, product, user

pytestmark = pytest.mark.integration

ONE_ID = UUID(int=7)
UTC_ZONE = ZoneInfo("UTC")
BROKEN = b'{"product_id":1,"product_name":"Lamp","category":"Home","price":-1}'
MENDED = b'{"product_id":1,"product_name":"Lamp","category":"Home","price":1}'


async def quarantine_a_broken_product(conn: AsyncConnection) -> Message:
    good = make(Entity.PRODUCT, product(1), number=1, message_id=ONE_ID)
    broken = Message(
        entity=Entity.PRODUCT,
        message_id=ONE_ID,
        source="test",
        accepted_at=good.accepted_at,
        version=good.version,
        content_hash=payload_hash(BROKEN),
        payload=BROKEN,
        origin=good.origin,
        refusal=Refusal(Reason.NEGATIVE_AMOUNT, "price must not be negative.", "price"),
    )
    await run_batch(conn, Engine(), [broken])
    return broken


async def wish(conn: AsyncConnection, payload: bytes | None = None) -> None:
    await conn.execute(
        "INSERT INTO shop.replay_requests (quarantine_id, payload, requested_by)"
        " SELECT id, %s, 'ann' FROM shop.quarantine WHERE resolved_at IS NULL",
        [payload],
    )


async def test_a_mended_payload_is_applied_under_the_first_id_and_version_and_once(session: Connect) -> None:
    conn, replayer = await session(), Replayer(Engine(), UTC_ZONE)
    broken = await quarantine_a_broken_product(conn)
    await wish(conn, MENDED)

    first, second = await replayer.replay(conn), await replayer.replay(conn)

    assert ([each.outcome for each in first], second) == ([OutcomeKind.STORED], [])
    assert await rows(conn, "SELECT price::text, version FROM shop.products") == [("1.00", broken.version)]
    assert await rows(conn, "SELECT resolution FROM shop.quarantine") == [("stored",)]
    assert await rows(conn, "SELECT outcome, applied_at IS NOT NULL FROM shop.replay_requests") == [
        ("stored", True)
    ]


@pytest.mark.parametrize(("payload", "reason"), [(None, "negative_amount"), (b"{", "malformed_json")])
async def test_what_is_still_wrong_stays_in_quarantine_with_what_is_wrong_now(
    session: Connect, payload: bytes | None, reason: str
) -> None:
    conn, replayer = await session(), Replayer(Engine(), UTC_ZONE)
    await quarantine_a_broken_product(conn)
    await wish(conn, payload)

    await replayer.replay(conn)

    assert await rows(conn, "SELECT outcome, reason FROM shop.replay_requests") == [("quarantined", reason)]
    assert await rows(conn, "SELECT reason FROM shop.quarantine WHERE resolved_at IS NULL") == [(reason,)]
    assert await rows(conn, "SELECT count(*) FROM shop.products") == [(0,)]


async def test_large_payloads_are_met_in_rounds_of_bounded_size(
    session: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_BYTES", 2 * len(MENDED))
    conn, replayer = await session(), Replayer(Engine(), UTC_ZONE)
    await quarantine_a_broken_product(conn)
    for _ in range(5):
        await wish(conn, MENDED)

    assert [len(await replayer.replay(conn)) for _ in range(4)] == [2, 2, 1, 0]


async def test_an_address_that_became_free_is_taken_by_who_wanted_it(session: Connect) -> None:
    conn, engine = await session(), Engine()
    await run_batch(conn, engine, [make(Entity.USER, user(1, email="a@x.org"), number=1)])
    await run_batch(conn, engine, [make(Entity.USER, user(2, email="a@x.org"), number=2)])
    await run_batch(conn, engine, [make(Entity.USER, user(1, email="b@x.org"), number=3, at=1)])
    await wish(conn)

    await Replayer(engine, UTC_ZONE).replay(conn)

    assert await rows(conn, "SELECT user_id, email FROM shop.users ORDER BY 1") == [
        (1, "b@x.org"),
        (2, "a@x.org"),
    ]
    assert await rows(conn, "SELECT count(*) FROM shop.quarantine WHERE resolved_at IS NULL") == [(0,)]


async def test_a_wish_about_a_record_of_the_file_topic_is_answered_and_holds_nobody_up(
    session: Connect,
) -> None:
    conn, replayer = await session(), Replayer(Engine(), UTC_ZONE)
    await quarantine_a_broken_product(conn)
    await conn.execute(
        "INSERT INTO shop.quarantine"
        " (message_id, content_hash, entity, reason, message, version, payload, source, accepted_at)"
        " VALUES (%s, %s, 'file', 'malformed_json', 'Not JSON.', %s, %s, 'shop', now())",
        [UUID(int=8), b"h" * 16, b"v" * 40, b"{"],
    )
    await wish(conn)

    await replayer.replay(conn)

    assert await rows(conn, "SELECT outcome, reason FROM shop.replay_requests ORDER BY reason") == [
        ("quarantined", "malformed_json"),
        ("quarantined", "negative_amount"),
    ]
