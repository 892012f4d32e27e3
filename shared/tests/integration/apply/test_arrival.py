"""What depends on who came first, and what is refused: kept once, with its reason, and nothing else suffers."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from support.postgres import Database
from tillstream.apply.batch import Batch
from tillstream.apply.change_pass import MAX_EMAIL_ROUNDS, ChangePass
from tillstream.apply.engine import ApplyPolicy, Engine
from tillstream.apply.event_pass import EventPass
from tillstream.apply.staging import stage
from tillstream.apply.statements import ORDER_ITEMS
from tillstream.apply.sweep import Sweeper
from tillstream.apply.verdicts import Verdict
from tillstream.contracts.entities import Entity
from tillstream.contracts.messages import Message, Origin, Refusal
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.contracts.reasons import Reason
from tillstream.db.connections import connect
from tillstream.testing.waiting import eventually

from .conftest import Connect
from .reading import rows, run_batch, sweep_until_quiet
from .worlds import event, item, make, order, product, user

pytestmark = pytest.mark.integration

STORED = (OutcomeKind.STORED, None)
DUPLICATE = (OutcomeKind.DUPLICATE, None)
SUPERSEDED = (OutcomeKind.SUPERSEDED, None)
PARKED = (OutcomeKind.PARKED, None)
CONFLICT = (OutcomeKind.QUARANTINED, Reason.ID_CONFLICT)
TAKEN = (OutcomeKind.QUARANTINED, Reason.DUPLICATE_EMAIL)


async def apply(
    conn: AsyncConnection, *messages: Message, engine: Engine | None = None
) -> list[tuple[OutcomeKind, Reason | None]]:
    return [(r.outcome, r.reason) for r in await run_batch(conn, engine or Engine(), messages)]


async def test_an_email_belongs_to_who_asked_first_without_regard_to_case(session: Connect) -> None:
    conn = await session()
    first = make(Entity.USER, user(1, email="a@x.org"), number=1)
    second = make(Entity.USER, user(2, email="A@X.org"), number=2)

    assert await apply(conn, first, second) == [STORED, TAKEN]
    assert await rows(conn, "SELECT reason, field FROM shop.quarantine") == [("duplicate_email", "email")]


async def test_two_users_may_swap_emails_in_one_batch(session: Connect) -> None:
    conn = await session()
    await apply(
        conn,
        make(Entity.USER, user(1, email="a@x.org"), number=1),
        make(Entity.USER, user(2, email="b@x.org"), number=2),
    )

    swap = [
        make(Entity.USER, user(1, email="b@x.org"), number=3, at=1),
        make(Entity.USER, user(2, email="a@x.org"), number=4, at=1),
    ]

    assert await apply(conn, *swap) == [STORED, STORED]
    assert await rows(conn, "SELECT user_id, email FROM shop.users ORDER BY 1") == [
        (1, "b@x.org"),
        (2, "a@x.org"),
    ]


async def test_a_refused_newer_change_does_not_take_an_older_good_one_with_it(session: Connect) -> None:
    conn = await session()
    await apply(conn, make(Entity.USER, user(9, email="taken@x.org"), number=1))

    older = make(Entity.USER, user(1, email="free@x.org"), number=2, at=1)
    newer = make(Entity.USER, user(1, email="taken@x.org"), number=3, at=2)

    assert await apply(conn, older, newer) == [STORED, TAKEN]
    assert await rows(conn, "SELECT email FROM shop.users WHERE user_id = 1") == [("free@x.org",)]


async def test_a_refusal_frees_nothing_for_who_counted_on_it(session: Connect) -> None:
    """User 2 keeps `b`, because `a` is refused to it; so user 3 cannot have `b` either."""
    conn = await session()
    await apply(
        conn,
        make(Entity.USER, user(1, email="a@x.org"), number=1),
        make(Entity.USER, user(2, email="b@x.org"), number=2),
    )

    chain = [
        make(Entity.USER, user(3, email="b@x.org"), number=3, at=1),
        make(Entity.USER, user(2, email="a@x.org"), number=4, at=1),
    ]

    assert await apply(conn, *chain) == [TAKEN, TAKEN]


@pytest.mark.parametrize("together", [True, False])
async def test_the_first_content_under_an_id_wins_and_the_second_is_kept_once(
    session: Connect,
    together: bool,
) -> None:
    conn = await session()
    one_id = UUID(int=7)
    first = make(Entity.PRODUCT, product(1, "Lamp"), number=1, message_id=one_id)
    second = make(Entity.PRODUCT, product(1, "Vase"), number=2, at=5, message_id=one_id)

    if together:
        outcomes = await apply(conn, first, second, first, second)
    else:
        outcomes = [(await apply(conn, message))[0] for message in (first, second, first, second)]

    assert outcomes == [STORED, CONFLICT, DUPLICATE, CONFLICT]
    assert await rows(conn, "SELECT product_name FROM shop.products") == [("Lamp",)]
    assert await rows(conn, "SELECT reason, payload FROM shop.quarantine") == [
        ("id_conflict", second.payload)
    ]


@pytest.mark.parametrize("together", [True, False])
async def test_an_event_id_with_another_content_is_a_conflict_also_while_the_first_waits(
    session: Connect,
    together: bool,
) -> None:
    conn = await session()
    one_id = UUID(int=7)
    first = make(Entity.EVENT, event(1), number=1, message_id=one_id)
    second = make(Entity.EVENT, event(1, kind="purchase"), number=2, message_id=one_id)

    if together:
        outcomes = await apply(conn, first, second, first)
    else:
        outcomes = [(await apply(conn, message))[0] for message in (first, second, first)]
    await apply(conn, make(Entity.USER, user(1), number=3))
    await sweep_until_quiet(conn, Engine())

    assert outcomes == [PARKED, CONFLICT, DUPLICATE]
    assert await rows(conn, "SELECT event_type FROM shop.events") == [("page_view",)]
    assert await rows(conn, "SELECT count(*) FROM shop.parked") == [(0,)]
    assert await apply(conn, first, second) == [DUPLICATE, CONFLICT]
    assert await rows(conn, "SELECT reason FROM shop.quarantine WHERE resolved_at IS NULL") == [
        ("id_conflict",)
    ]


async def test_what_broke_its_contract_is_kept_once_and_does_not_occupy_its_id(session: Connect) -> None:
    conn = await session()
    good = make(Entity.PRODUCT, product(1), number=1)
    bad = Message(
        entity=Entity.PRODUCT,
        message_id=good.message_id,
        source="test",
        accepted_at=good.accepted_at,
        version=good.version,
        content_hash=b"h" * 16,
        payload=b"\x00not json",
        origin=good.origin,
        refusal=Refusal(Reason.MALFORMED_JSON, "It is not JSON."),
    )

    malformed = (OutcomeKind.QUARANTINED, Reason.MALFORMED_JSON)
    assert await apply(conn, bad, good, bad) == [malformed, STORED, malformed]
    assert await rows(conn, "SELECT payload, message FROM shop.quarantine") == [
        (b"\x00not json", "It is not JSON.")
    ]


async def test_a_record_that_the_database_refuses_is_found_among_its_neighbours(
    session: Connect, database: Database
) -> None:
    conn = await session()
    unlucky = {3, 11}
    messages = [
        make(Entity.PRODUCT, product(number, "cursed" if number in unlucky else "Lamp"), number=number)
        for number in range(1, 17)
    ]
    await _curse(database.owner_dsn)

    outcomes = await apply(conn, *messages)

    assert [n for n, (kind, _) in enumerate(outcomes, 1) if kind is OutcomeKind.QUARANTINED] == sorted(
        unlucky
    )
    assert {reason for _, reason in outcomes} == {None, Reason.REFUSED_BY_DATABASE}
    assert await rows(conn, "SELECT count(*) FROM shop.products") == [(14,)]
    assert await apply(conn, *messages) == [DUPLICATE] * 16


async def _curse(owner_dsn: str) -> None:
    """A rule that only the database knows, as a newer schema might have."""
    owner = await connect(owner_dsn, application_name="owner")
    await owner.execute("ALTER TABLE shop.products ADD CONSTRAINT planted CHECK (product_name <> 'cursed')")
    await owner.close()


async def test_a_parked_change_is_applied_when_its_last_parent_comes(session: Connect) -> None:
    conn, engine = await session(), Engine()
    waiting = make(Entity.ORDER, order(1, 5, items=[item(1, 8), item(2, 9)]), number=1)

    assert await apply(conn, waiting) == [PARKED]
    parents = [
        make(Entity.USER, user(5), number=2),
        make(Entity.PRODUCT, product(8), number=3),
        make(Entity.PRODUCT, product(9), number=4),
    ]
    for parent in parents:
        assert await rows(conn, "SELECT count(*) FROM shop.orders") == [(0,)]
        await apply(conn, parent)
        await Sweeper(engine).sweep(conn)

    assert await rows(conn, "SELECT order_item_id FROM shop.order_items ORDER BY 1") == [(1,), (2,)]
    assert await rows(conn, "SELECT outcome FROM shop.changes WHERE entity = 'order'") == [("stored",)]
    assert await rows(conn, "SELECT count(*) FROM shop.parked") == [(0,)]


async def test_a_parked_change_older_than_what_is_stored_by_then_is_superseded(session: Connect) -> None:
    conn, engine = await session(), Engine()
    old = make(Entity.ORDER, order(1, 5, "pending"), number=1, at=1)
    new = make(Entity.ORDER, order(1, 6, "paid"), number=2, at=2)

    await apply(conn, make(Entity.USER, user(6), number=3))
    assert await apply(conn, old, new) == [PARKED, STORED]
    await apply(conn, make(Entity.USER, user(5), number=4))

    assert [(r.outcome, r.reason) for r in (await Sweeper(engine).sweep(conn)).applied] == [SUPERSEDED]
    assert await rows(conn, "SELECT user_id, status FROM shop.orders") == [(6, "paid")]


async def test_what_waited_too_long_is_quarantined_and_still_wakes_when_the_parent_comes(
    session: Connect,
) -> None:
    conn, hasty = await session(), Engine(ApplyPolicy(parked_for=timedelta(0)))
    waiting = [make(Entity.ORDER, order(1, 5), number=1), make(Entity.EVENT, event(5), number=2)]

    await apply(conn, *waiting, engine=hasty)
    await Sweeper(hasty).sweep(conn)
    kept = await rows(conn, "SELECT reason, waits_key FROM shop.quarantine WHERE resolved_at IS NULL")
    assert kept == [("unknown_user", 5), ("unknown_user", 5)]
    assert await apply(conn, *waiting) == [DUPLICATE, DUPLICATE]

    await apply(conn, make(Entity.USER, user(5), number=3))
    await Sweeper(hasty).sweep(conn)

    assert await rows(conn, "SELECT count(*) FROM shop.events") == [(1,)]
    assert await rows(conn, "SELECT status FROM shop.orders") == [("paid",)]
    assert await rows(conn, "SELECT DISTINCT resolution FROM shop.quarantine") == [("stored",)]
    assert await rows(conn, "SELECT outcome FROM shop.changes WHERE entity = 'order'") == [("stored",)]


async def test_a_correction_loads_under_its_first_id_and_closes_the_entry(session: Connect) -> None:
    conn = await session()
    one_id = UUID(int=7)
    await apply(conn, make(Entity.USER, user(1, email="a@x.org"), number=1))
    refused = make(Entity.USER, user(2, email="a@x.org"), number=2, message_id=one_id)
    assert await apply(conn, refused) == [TAKEN]

    still_wrong = make(
        Entity.USER, user(2, "Bo", email="A@x.org"), number=2, message_id=one_id, correction=True
    )
    assert await apply(conn, still_wrong) == [TAKEN]
    right = make(Entity.USER, user(2, email="b@x.org"), number=2, message_id=one_id, correction=True)
    assert await apply(conn, right) == [STORED]

    assert await rows(conn, "SELECT resolution FROM shop.quarantine ORDER BY id") == [
        ("refused_again",),
        ("stored",),
    ]
    assert await rows(conn, "SELECT outcome, reason FROM shop.changes WHERE entity='user' AND key=2") == [
        ("stored", None)
    ]
    assert await apply(conn, right) == [DUPLICATE]


async def test_a_wave_of_changes_that_woke_leaves_other_contents_under_their_ids_in_quarantine(
    session: Connect,
) -> None:
    conn, engine = await session(), Engine()
    one_id = UUID(int=7)
    first = make(Entity.ORDER, order(1, 5), number=1, message_id=one_id)
    other = make(Entity.ORDER, order(2, 5), number=2, at=1, message_id=one_id)
    assert await apply(conn, first, other) == [PARKED, CONFLICT]
    await apply(conn, make(Entity.USER, user(5), number=3))

    await sweep_until_quiet(conn, engine)

    assert await rows(conn, "SELECT order_id FROM shop.orders") == [(1,)]
    assert await rows(conn, "SELECT payload FROM shop.quarantine WHERE resolved_at IS NULL") == [
        (other.payload,)
    ]


async def test_what_woke_leaves_a_refusal_of_its_own_id_and_version_in_quarantine(session: Connect) -> None:
    """Nobody has corrected it: it only came under the same id, and as early in its request."""
    conn, engine = await session(), Engine()
    waiting = make(Entity.EVENT, event(5), number=7)
    broken = replace(
        waiting,
        content=None,
        refusal=Refusal(Reason.MALFORMED_JSON, "."),
        payload=b"{",
        content_hash=bytes(16),
    )
    assert await apply(conn, waiting, broken) == [PARKED, (OutcomeKind.QUARANTINED, Reason.MALFORMED_JSON)]
    await apply(conn, make(Entity.USER, user(5), number=8))

    await sweep_until_quiet(conn, engine)

    assert await rows(conn, "SELECT count(*) FROM shop.events") == [(1,)]
    assert await rows(conn, "SELECT payload FROM shop.quarantine WHERE resolved_at IS NULL") == [(b"{",)]


async def test_a_parent_that_comes_between_insert_and_judgement_leaves_the_event_parked(
    session: Connect,
) -> None:
    conn, other = await session(0), await session(1)
    message = make(Entity.EVENT, event(5), number=1)

    class StoresTheUserInBetween(EventPass):
        async def _judge(self, lacking: Any) -> Any:
            await apply(other, make(Entity.USER, user(5), number=2))
            return await super()._judge(lacking)

    async with conn.transaction():
        await stage(conn, Batch(events=[(0, message)]), set())
        verdicts = await StoresTheUserInBetween(conn, [message]).run([0])

    assert verdicts[0] == Verdict(OutcomeKind.PARKED, None, "user", 5)


async def test_a_long_chain_of_wanted_emails_ends(session: Connect) -> None:
    """Each user wants the next one's address, and the last of them one that is taken: nobody can move."""
    conn, length = await session(), 3 * MAX_EMAIL_ROUNDS
    settled = [make(Entity.USER, user(n, email=f"{n}@x.org"), number=n) for n in range(1, length + 2)]
    await apply(conn, *settled)
    wishes = [
        make(Entity.USER, user(n, email=f"{n + 1}@x.org"), number=1000 + n, at=1)
        for n in range(1, length + 1)
    ]

    assert set(await apply(conn, *wishes)) == {TAKEN}


async def test_a_sweep_of_small_windows_comes_round_to_everything(session: Connect) -> None:
    conn, engine = await session(), Engine()
    waiting = [make(Entity.EVENT, event(user_id), number=user_id) for user_id in range(1, 8)]
    await apply(conn, *waiting)
    await apply(conn, make(Entity.USER, user(7), number=100))
    sweeper = Sweeper(engine, window=2)

    woken = [await sweeper.sweep(conn) for _ in range(4)]

    assert [len(each.applied) for each in woken] == [0, 0, 0, 1]


async def test_a_wake_up_reaches_all_that_waits_also_for_what_woke(session: Connect) -> None:
    conn, engine = await session(), Engine()
    waiting = [make(Entity.ORDER, order(n, 1), number=n) for n in range(1, 6)]
    single_item = {"order_id": 5, **item(1, 1)}
    await apply(conn, *waiting, make(Entity.ORDER_ITEM, single_item, number=6))
    await apply(conn, make(Entity.PRODUCT, product(1), number=7))
    stored = await run_batch(conn, engine, [make(Entity.USER, user(1), number=8)])

    woken = await Sweeper(engine, window=2).wake(conn, stored)

    assert [each.message.message_id.int for each in woken] == [1, 2, 3, 4, 5, 6]
    assert await rows(conn, "SELECT count(*) FROM shop.parked") == [(0,)]


async def test_a_newer_set_takes_out_an_older_item_that_was_on_its_way(session: Connect) -> None:
    """The item finds no order to lock; then the order comes, and its next set before the item is committed."""
    conn, other, onlooker = await session(0), await session(1), await session(2)
    await apply(conn, make(Entity.USER, user(1), number=1), make(Entity.PRODUCT, product(1), number=2))
    single_item = make(Entity.ORDER_ITEM, {"order_id": 7, **item(1, 1)}, number=5, at=5)
    older = make(Entity.ORDER, order(7, 1, items=[item(2, 1)]), number=3, at=1)
    newer = make(Entity.ORDER, order(7, 1, items=[item(2, 1)]), number=9, at=9)
    sets: list[asyncio.Task[Any]] = []

    async def waits_or_is_done() -> bool:
        waiting = await rows(onlooker, "SELECT 1 FROM pg_locks WHERE NOT granted")
        return bool(waiting) or sets[0].done()

    class Interleaved:
        """The connection of the item's session; the other session's work comes in between its statements."""

        async def execute(self, statement: Any, *values: Any) -> Any:
            if statement == ORDER_ITEMS["park"]:
                await apply(other, older)
            done = await conn.execute(statement, *values)
            if statement == ORDER_ITEMS["upsert"]:
                sets.append(asyncio.create_task(apply(other, newer)))
                await eventually(waits_or_is_done)
            return done

    async with conn.transaction():
        await stage(conn, Batch(changes=[(0, single_item)]), set())
        await ChangePass(cast("AsyncConnection", Interleaved())).run([0])
    await asyncio.gather(*sets)

    assert await rows(conn, "SELECT order_item_id FROM shop.order_items") == [(2,)]


async def test_a_settled_row_moves_to_its_final_column_in_its_files_statement(session: Connect) -> None:
    conn, engine = await session(), Engine()
    job_id = UUID(int=99)
    await conn.execute(
        "INSERT INTO shop.file_jobs (job_id, file_name, source, status, claimed_at, finished_at, rows, parked)"
        " VALUES (%s, 'events.csv', 'shop', 'loaded', now(), now(), 1, 1)",
        [job_id],
    )
    waiting = make(Entity.EVENT, event(5), number=1)
    from_file = replace(waiting, origin=Origin(job_id=job_id, line=2))
    await apply(conn, from_file)
    await apply(conn, make(Entity.USER, user(5), number=3))

    await Sweeper(engine).sweep(conn)

    assert await rows(
        conn, "SELECT parked, loaded, rejected, status, settled_at IS NOT NULL FROM shop.file_jobs"
    ) == [(0, 1, 0, "loaded", True)]
